// What a pool's client keeps of a call: who awaits its results, and what runs after them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <forkful/bytes/task_pool.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace detail {

using bytes::Bytes;

enum TaskStatus : std::uint32_t { kValue, kException };

class Job;

// Runs once, on the thread that the client has for that, when a job is done. What it captured is
// destroyed there too.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual void run() noexcept = 0;
  // In place of run(): the pool was stopped first, or what was to come of this was cancelled.
  virtual void drop(const std::exception_ptr& why) noexcept { (void)why; }
};

// Collects jobs as they end, for a caller that awaits several; the jobs may be of different
// clients. It has a mutex of its own, since each client pushes under its own mutex.
//
// Threads: any. Ownership: whoever reads it keeps the jobs.
class EndedJobs {
 public:
  [[nodiscard]] bool empty() const {
    const std::lock_guard lock(mutex_);
    return ended_.empty();
  }
  // Null: none has ended since.
  [[nodiscard]] Job* take() {
    const std::lock_guard lock(mutex_);
    if (ended_.empty()) return nullptr;
    Job* const first = ended_.front();
    ended_.pop_front();
    return first;
  }
  void push(Job& job) {
    const std::lock_guard lock(mutex_);
    ended_.push_back(&job);
  }

 private:
  mutable std::mutex mutex_;
  std::deque<Job*> ended_;
};

using Progress = std::function<void(std::size_t done, std::size_t total)>;

// What a job wants besides its results.
struct Attention {
  Progress progress = {};
  // How long a worker may take, from when it begins.
  Duration timeout = Duration::endless();
  // The caller waits for it at once, and so collects by itself.
  bool awaited = false;
};

// The results that one call awaits; or a local job, which is done when its callback has run.
//
// Threads: whoever holds the baton delivers, never two at once; what was delivered may be read when
// the client says that the job is done.
class Job {
 public:
  virtual ~Job() = default;
  // Whether an exception is its result. Requires: it is done.
  [[nodiscard]] virtual bool failed() const noexcept = 0;

 private:
  friend class PoolClient;
  // Item `index` has its result. Must not throw.
  virtual void set_value(std::uint32_t index, Bytes value) noexcept = 0;
  virtual void set_error(std::uint32_t index, std::exception_ptr error) noexcept = 0;

  struct Continuation {
    std::unique_ptr<Callback> callback;
    std::shared_ptr<Job> result;  // done when the callback has run
  };
  struct Followers {
    std::vector<std::shared_ptr<EndedJobs>> ended;
    std::vector<Continuation> continuations;
    Progress progress;
    std::uint32_t total = 0;
    bool progress_due = false;
    bool progress_runs = false;
  };
  Followers& followers() {
    if (!followers_) followers_ = std::make_unique<Followers>();
    return *followers_;
  }

  // Whether item `index` gets its result now. A result counts once, whatever died since.
  // Requires: the baton.
  bool note_result(std::uint32_t index) {
    if (have_.empty()) return index == 0 && !std::exchange(has_one_, true);
    if (index >= have_.size() || have_[index]) return false;
    have_[index] = true;
    return true;
  }
  // Whether an item has its result, or is just being given it. Requires: the baton.
  [[nodiscard]] bool has_any() const {
    return has_one_ || std::find(have_.begin(), have_.end(), true) != have_.end();
  }
  // Takes the result that the reader is at; false when the item had one. Requires: the baton.
  bool take(const bytes::ResultReader& from, std::exception_ptr (*exception_in)(Bytes)) {
    if (!note_result(from.index())) return false;
    if (from.status() == kValue) {
      set_value(from.index(), from.payload());
    } else {
      set_error(from.index(), exception_in(from.payload()));
    }
    return true;
  }

  std::uint64_t id_ = 0;
  std::unique_ptr<Followers> followers_;
  std::vector<bool> have_;     // by item, where there are several
  bool has_one_ = false;       // where there is one item: it has its result
  std::uint32_t missing_ = 0;  // items without a result
  bool done_ = false;
  bool local_ = false;
  bool begun_ = false;     // a local job's callback runs
  bool attended_ = false;  // the attendant is needed for it
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
