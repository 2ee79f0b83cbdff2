// What a pool's client knows: its jobs, its workers, and who takes results out of the ring.
//
// Locking: `mutex` guards everything; the baton (`draining`) is the right to take results from the
// ring and to look after the workers. Its holder lets the mutex go while it sleeps, while it waits
// for what a worker may hold, and while it decodes, since what it decodes may call the pool. Such a
// call has the baton already: it collects on behalf of the call that it came from. Callbacks run
// without either.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <forkful/bytes/attendance.hpp>
#include <forkful/bytes/cancellations.hpp>
#include <forkful/bytes/pool_owner.hpp>
#include <forkful/bytes/semaphore.hpp>
#include <forkful/detail/executor/pool_client.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/mutex.hpp"
#include "kernel/clock.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {

using base::Guard;
using bytes::PoolOwner;

inline constexpr std::chrono::milliseconds kLookEvery = PoolOwner::kLookEvery;

inline Deadline soonest(Deadline a, Deadline b) { return a.at_ns < b.at_ns ? a : b; }

inline bool is_past(Deadline deadline) {
  return deadline.is_poll() || (!deadline.is_never() && kernel::monotonic_ns() >= deadline.at_ns);
}

class PoolClient::State final : private PoolOwner::Hooks {
 public:
  explicit State(PoolPlan plan);

  // Waits for `ready()`, draining the ring or, where another thread does that, for its news.
  // Without time it looks once. The analysis does not know that `ready` is called with the mutex.
  template <class Ready>
  bool wait_until(Guard& lock, Deadline until, Ready ready) FORKFUL_REQUIRES(mutex);
  bool wait_until(Guard& lock, Deadline until, const std::stop_token& stop, auto ready)
      FORKFUL_REQUIRES(mutex) {
    return wait_until(lock, until, [&] { return ready() || stop.stop_requested(); }) && ready();
  }
  // Ends the workers, gently first. Needs nothing that a worker, or whoever has the baton, may
  // hold.
  void end_workers() FORKFUL_REQUIRES(mutex);
  // Delivers what the ring holds, or a part of it.
  void drain() FORKFUL_REQUIRES(mutex, collecting);
  // Delivers all that the ring holds now. False where a worker that is stopped is in the way.
  [[nodiscard]] bool drain_present() FORKFUL_REQUIRES(mutex, collecting);
  // Likewise, until there is none. Requires: no worker runs.
  void drain_all() FORKFUL_REQUIRES(mutex, collecting);
  // True when every worker has ended by `until`, and before a stop.
  bool await_workers(Deadline until, const std::stop_token& stop = {})
      FORKFUL_REQUIRES(mutex, collecting);
  // Without the mutex: some worker's end, or kLookEvery.
  void await_an_end(Deadline until) FORKFUL_REQUIRES(mutex);
  enum class Failing { all, calls };  // calls: and their callbacks run
  void fail_jobs(Failing which, const std::exception_ptr& error)
      FORKFUL_REQUIRES(mutex, collecting);
  // `items` more of the job have their result.
  void finish_items(const std::shared_ptr<Job>& job, std::uint32_t items) FORKFUL_REQUIRES(mutex);
  // The job is done: tells what follows it.
  void retire(const std::shared_ptr<Job>& job) FORKFUL_REQUIRES(mutex);
  void forget(Job& job) FORKFUL_REQUIRES(mutex);
  // `items` of a job that nobody awaits are in the ring no more: answered, lost with their worker,
  // or taken back. With the last ones of a cancelled job its place in the list is free again.
  void note_gone(std::uint64_t id, std::uint32_t items) FORKFUL_REQUIRES(mutex);
  [[nodiscard]] std::vector<int> pids() const FORKFUL_REQUIRES(mutex);

  // Has the attendant run all the time, from now on until the job is done.
  void attend(Job& job) FORKFUL_REQUIRES(mutex);
  void start_attendant() FORKFUL_REQUIRES(mutex);
  // Something was submitted that nobody waits for.
  void rouse_attendant() FORKFUL_REQUIRES(mutex);
  // The last one that waited goes.
  void leave_to_attendant() FORKFUL_REQUIRES(mutex);
  // For what follows jobs, and is told their progress: a thread of its own, so that the pool is
  // attended while a callback runs, and one may wait for what only a new worker can do.
  void start_callbacks() FORKFUL_REQUIRES(mutex);
  void add_due(Job::Continuation continuation) FORKFUL_REQUIRES(mutex) {
    due.push_back(std::move(continuation));
    callbacks_changed.notify_one();
  }
  // Relaxed: only whether it is this thread matters, which knows that since it had the mutex.
  [[nodiscard]] bool in_callback() const {
    return callbacks_id.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  void require_no_callback() const;
  // No callback runs after this, unless it is called in one.
  void end_threads(Guard& lock) FORKFUL_REQUIRES(mutex);
  // Whether this thread may collect: nobody does, or it does already, further up its stack.
  [[nodiscard]] bool may_collect() const FORKFUL_REQUIRES(mutex) {
    return draining ? collects_here() : baton_waiters == 0;
  }
  [[nodiscard]] bool collects_here() const FORKFUL_REQUIRES(mutex) {
    return draining && drainer == std::this_thread::get_id();
  }

  // Inherited ones that were let go, in a forked child. Threads: any; nothing is taken out.
  inline static std::atomic<State*> abandoned = nullptr;
  State* next_abandoned = nullptr;

  base::Mutex mutex;
  bytes::RightToCollect collecting;  // whoever has a Baton has it
  base::Condition changed;
  bool draining FORKFUL_GUARDED_BY(mutex) = false;    // somebody has the baton
  std::thread::id drainer FORKFUL_GUARDED_BY(mutex);  // the thread, then
  // Come before those that merely wait for a result.
  std::uint32_t baton_waiters FORKFUL_GUARDED_BY(mutex) = 0;
  std::exception_ptr broken FORKFUL_GUARDED_BY(mutex);  // why no worker can be started

  const PoolPlan plan;
  PoolOwner owner;  // the mutex guards it, but for tasks() and is_ours(), which do not change
  const bytes::Cancellations cancellations;
  const bytes::RawSemaphore untold;  // a permit to say what the initializer throws; if there is one
  std::unordered_map<std::uint64_t, std::shared_ptr<Job>> jobs FORKFUL_GUARDED_BY(mutex);
  // Jobs; items that are not gone yet.
  std::unordered_map<std::uint64_t, std::uint32_t> cancelled FORKFUL_GUARDED_BY(mutex);
  std::uint64_t next_job FORKFUL_GUARDED_BY(mutex) = 1;
  std::uint64_t taken FORKFUL_GUARDED_BY(collecting) = 0;  // messages, out of the ring of results
  std::atomic<std::uint32_t> submitted{0};                 // tasks, to drain now and then

  // Threads that wait, and drain therefore; and how often any has.
  std::uint32_t waiters FORKFUL_GUARDED_BY(mutex) = 0;
  std::uint64_t waits FORKFUL_GUARDED_BY(mutex) = 0;
  // Unfinished jobs that need the attendant; and whether it is needed until all is done.
  std::uint32_t attended FORKFUL_GUARDED_BY(mutex) = 0;
  bool unattended FORKFUL_GUARDED_BY(mutex) = false;
  bool threads_end FORKFUL_GUARDED_BY(mutex) = false;
  unsigned threads_running FORKFUL_GUARDED_BY(mutex) = 0;
  bool attendant_sleeps FORKFUL_GUARDED_BY(mutex) = false;  // until somebody rouses it
  base::Condition attendant_changed;
  std::thread attendant FORKFUL_GUARDED_BY(mutex);
  base::Condition callbacks_changed;
  std::thread callbacks FORKFUL_GUARDED_BY(mutex);
  // Read without the mutex, too: a forked child could wait for it for ever.
  std::atomic<std::thread::id> callbacks_id{};
  // What the callbacks' thread is to run; without a callback, the progress of `result`.
  std::deque<Job::Continuation> due FORKFUL_GUARDED_BY(mutex);

 private:
  // The hooks of the owner. The analysis does not see whether the owner's callers have what these
  // require.
  int start(std::uint32_t slot) override FORKFUL_REQUIRES(mutex, collecting);
  std::optional<int> ended(std::uint32_t slot) override FORKFUL_REQUIRES(mutex);
  bool send_signal(std::uint32_t slot, int signal) override FORKFUL_REQUIRES(mutex);
  std::string name(std::uint32_t slot) override FORKFUL_REQUIRES(mutex) {
    return processes_[slot].name();
  }
  void give_back(std::uint32_t slot) override FORKFUL_REQUIRES(mutex, collecting);
  void deliver(bytes::ByteMessage& results) override FORKFUL_REQUIRES(mutex, collecting);
  bool is_one_call(std::uint64_t job) override FORKFUL_REQUIRES(mutex, collecting);
  void lose(std::uint64_t job, const bytes::Death& why) override
      FORKFUL_REQUIRES(mutex, collecting);
  void give_up(const bytes::Death* why) override FORKFUL_REQUIRES(mutex, collecting);
  void pause() override FORKFUL_RELEASE(mutex) { mutex.unlock(); }
  void resume() override FORKFUL_ACQUIRE(mutex) { mutex.lock(); }

  // Takes results for a moment and looks after the workers.
  void pump(Deadline until) FORKFUL_REQUIRES(mutex, collecting);
  void take_results(bytes::ByteMessage& message) FORKFUL_REQUIRES(mutex, collecting);
  [[nodiscard]] bool next_result(bytes::ByteMessage& into, Deadline until)
      FORKFUL_REQUIRES(mutex, collecting);
  [[nodiscard]] bool take(bytes::ByteMessage& into, Deadline until) FORKFUL_REQUIRES(collecting);
  // The lives of the threads.
  void attend_pool();
  void call_back();
  std::thread start_thread(void (State::*life)()) FORKFUL_REQUIRES(mutex);
  void end_thread() FORKFUL_REQUIRES(mutex);
  void run_next(Guard& lock) FORKFUL_REQUIRES(mutex);
  void run_progress(Guard& lock, const std::shared_ptr<Job>& job) FORKFUL_REQUIRES(mutex);
  void report_progress(const std::shared_ptr<Job>& job) FORKFUL_REQUIRES(mutex);
  [[nodiscard]] bool is_urgent() const FORKFUL_REQUIRES(mutex) {
    return attended > 0 || unattended || owner.has_vacancy();
  }
  [[nodiscard]] bool is_unfinished() const FORKFUL_REQUIRES(mutex) {
    return !jobs.empty() || (unattended && !owner.empty());
  }
  void break_with(const std::exception_ptr& error) FORKFUL_REQUIRES(mutex, collecting);
  [[nodiscard]] std::string why_none_begins() const;

  std::vector<bytes::RawProcess> processes_ FORKFUL_GUARDED_BY(mutex);  // by slot
  std::exception_ptr start_error_ FORKFUL_GUARDED_BY(mutex);  // why the last could not be started
  std::uint32_t named_ FORKFUL_GUARDED_BY(mutex) = 0;
};

// Lets a mutex go while it lives.
class FORKFUL_SCOPED_CAPABILITY Unlocked {
 public:
  explicit Unlocked(base::Mutex& mutex) FORKFUL_RELEASE(mutex) : mutex_(mutex) { mutex.unlock(); }
  ~Unlocked() FORKFUL_RELEASE() { mutex_.lock(); }  // what it releases is the release
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  base::Mutex& mutex_;
};

// Has the baton while it lives; waits for it first, unless this thread has it already. `lock` has
// the state's mutex, at both ends; that is not said by REQUIRES, which would mean that this takes
// the mutex over and releases it.
class FORKFUL_SCOPED_CAPABILITY Baton {
 public:
  Baton(PoolClient::State& state, Guard& lock) FORKFUL_ACQUIRE(state.collecting);
  ~Baton() FORKFUL_RELEASE();
  Baton(const Baton&) = delete;
  Baton& operator=(const Baton&) = delete;

 private:
  PoolClient::State& state_;
  const bool nested_;
};

// Counts a thread that waits; the attendant leaves the draining to it.
class Waiting {
 public:
  explicit Waiting(PoolClient::State& state) FORKFUL_REQUIRES(state.mutex) : state_(state) {
    ++state.waiters;
    ++state.waits;
  }
  ~Waiting() {
    if (--state_.waiters == 0) state_.leave_to_attendant();
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  PoolClient::State& state_;
};

template <class Ready>
bool PoolClient::State::wait_until(Guard& lock, Deadline until, Ready ready) {
  std::optional<Waiting> waiting;
  if (!until.is_poll()) waiting.emplace(*this);
  for (bool looked = false; !ready(); looked = true) {
    if (looked && is_past(until)) return false;
    if (may_collect()) {
      const Baton baton(*this, lock);
      pump(until);
    } else if (until.is_poll()) {
      return false;
    } else {
      // Whoever has the baton tells of results. A stop that is asked for (std::stop_token) tells
      // nobody: it is seen at the end of a slice of 100 ms.
      const auto slice = soonest(until, Deadline::in(kLookEvery * 20));
      changed.wait_until(
          lock, std::chrono::steady_clock::time_point(std::chrono::nanoseconds(slice.at_ns)));
    }
  }
  return true;
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
