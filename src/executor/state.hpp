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
#include <condition_variable>
#include <deque>
#include <forkful/bytes/attendance.hpp>
#include <forkful/bytes/pool_owner.hpp>
#include <forkful/bytes/semaphore.hpp>
#include <forkful/detail/executor/pool_client.hpp>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>

#include "kernel/clock.hpp"
#include "pool/cancellations.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {

using Guard = std::unique_lock<std::mutex>;
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
  // Without time it looks once. Requires: the mutex is held.
  template <class Ready>
  bool wait_until(Guard& lock, Deadline until, Ready ready);
  bool wait_until(Guard& lock, Deadline until, const std::stop_token& stop, auto ready) {
    return wait_until(lock, until, [&] { return ready() || stop.stop_requested(); }) && ready();
  }
  // Ends the workers, gently first. Needs nothing that a worker, or whoever has the baton, may
  // hold.
  void end_workers(Guard& lock);
  // Delivers what the ring holds. Requires: the baton.
  void drain();
  // Likewise, until there is none. Requires: the baton, and that no worker runs.
  void drain_all();
  // True when every worker has ended by `until`, and before a stop. Requires: the baton.
  bool await_workers(Guard& lock, Deadline until, const std::stop_token& stop = {});
  enum class Failing { all, calls };  // calls: and their callbacks run
  // Requires: the baton.
  void fail_jobs(Failing which, const std::exception_ptr& error);
  // `items` more of the job have their result.
  void finish_items(const std::shared_ptr<Job>& job, std::uint32_t items);
  // The job is done: tells what follows it.
  void retire(const std::shared_ptr<Job>& job);
  void forget(Job& job);
  // `items` of a job that nobody awaits are in the ring no more: answered, lost with their worker,
  // or taken back. With the last ones of a cancelled job its place in the list is free again.
  void note_gone(std::uint64_t id, std::uint32_t items);
  [[nodiscard]] std::vector<int> pids() const;

  // Has the attendant run all the time, from now on until the job is done.
  void attend(Job& job);
  void start_attendant();
  // Something was submitted that nobody waits for.
  void rouse_attendant();
  // The last one that waited goes.
  void leave_to_attendant();
  // For what follows jobs, and is told their progress: a thread of its own, so that the pool is
  // attended while a callback runs, and one may wait for what only a new worker can do.
  void start_callbacks();
  void add_due(Job::Continuation continuation) {
    due.push_back(std::move(continuation));
    callbacks_changed.notify_one();
  }
  [[nodiscard]] bool in_callback() const { return callbacks_id == std::this_thread::get_id(); }
  void require_no_callback() const;
  // No callback runs after this, unless it is called in one.
  void end_threads(Guard& lock);
  // Whether this thread may collect: nobody does, or it does already, further up its stack.
  [[nodiscard]] bool may_collect() const { return draining ? collects_here() : baton_waiters == 0; }
  [[nodiscard]] bool collects_here() const {
    return draining && drainer == std::this_thread::get_id();
  }

  inline static State* abandoned = nullptr;  // inherited ones that were let go, in a forked child
  State* next_abandoned = nullptr;

  std::mutex mutex;
  std::condition_variable changed;
  bool draining = false;            // somebody has the baton
  std::thread::id drainer;          // the thread, then
  std::uint32_t baton_waiters = 0;  // come before those that merely wait for a result
  std::exception_ptr broken;        // why no worker can be started

  const PoolPlan plan;
  PoolOwner owner;
  const pool::Cancellations cancellations;
  const bytes::RawSemaphore untold;  // a permit to say what the initializer throws; if there is one
  std::unordered_map<std::uint64_t, std::shared_ptr<Job>> jobs;
  std::unordered_map<std::uint64_t, std::uint32_t> cancelled;  // jobs; items that are not gone yet
  std::uint64_t next_job = 1;
  std::atomic<std::uint32_t> submitted{0};  // tasks, to drain now and then

  std::uint32_t waiters = 0;   // threads that wait, and drain therefore
  std::uint64_t waits = 0;     // how often any has
  std::uint32_t attended = 0;  // unfinished jobs that need the attendant
  bool unattended = false;     // the attendant is needed until all is done
  bool threads_end = false;
  unsigned threads_running = 0;
  bool attendant_sleeps = false;  // until somebody rouses it
  std::condition_variable attendant_changed;
  std::thread attendant;
  std::condition_variable callbacks_changed;
  std::thread callbacks;
  std::thread::id callbacks_id;
  // What the callbacks' thread is to run; without a callback, the progress of `result`.
  std::deque<Job::Continuation> due;

 private:
  // The hooks of the owner.
  int start(std::uint32_t slot) override;
  std::optional<int> ended(std::uint32_t slot) override;
  bool send_signal(std::uint32_t slot, int signal) override;
  std::string name(std::uint32_t slot) override { return processes_[slot].name(); }
  void give_back(std::uint32_t slot) override;
  void deliver(bytes::ByteMessage& results) override;
  void lose(std::uint64_t job, const bytes::Death& why) override;
  void give_up(const bytes::Death* why) override;
  void pause() override { mutex.unlock(); }
  void resume() override { mutex.lock(); }

  // Takes results for a moment and looks after the workers. Requires: the baton.
  void pump(Deadline until);
  void take_results(bytes::ByteMessage& message);
  [[nodiscard]] bool next_result(bytes::ByteMessage& into, Deadline until);
  // The lives of the threads.
  void attend_pool();
  void call_back();
  std::thread start_thread(void (State::*life)());
  void end_thread();
  void run_next(Guard& lock);
  void run_progress(Guard& lock, const std::shared_ptr<Job>& job);
  void report_progress(const std::shared_ptr<Job>& job);
  [[nodiscard]] bool is_urgent() const { return attended > 0 || unattended || owner.has_vacancy(); }
  [[nodiscard]] bool is_unfinished() const {
    return !jobs.empty() || (unattended && !owner.empty());
  }
  void break_with(const std::exception_ptr& error);
  [[nodiscard]] std::string why_none_begins() const;

  std::vector<bytes::RawProcess> processes_;  // by slot
  std::exception_ptr start_error_;            // why the last one could not be started
  std::uint32_t named_ = 0;
};

// Lets a mutex go while it lives.
template <class Mutex>
class Unlocked {
 public:
  explicit Unlocked(Mutex& mutex) : mutex_(mutex) { mutex_.unlock(); }
  ~Unlocked() { mutex_.lock(); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  Mutex& mutex_;
};

// Has the baton while it lives; waits for it first, unless this thread has it already.
class Baton {
 public:
  Baton(PoolClient::State& state, Guard& lock);
  ~Baton();
  Baton(const Baton&) = delete;
  Baton& operator=(const Baton&) = delete;

 private:
  PoolClient::State& state_;
  const bool nested_;
};

// Counts a thread that waits; the attendant leaves the draining to it.
class Waiting {
 public:
  explicit Waiting(PoolClient::State& state) : state_(state) {
    ++state_.waiters;
    ++state_.waits;
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
