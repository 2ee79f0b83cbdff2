// What a pool's client knows: its jobs, its workers, and who drains the ring of results.
//
// Locking: `mutex` guards everything; the baton (`draining`) is the right to take results from the
// ring and to change the list of workers. Its holder lets the mutex go while it sleeps. Callbacks
// run without either.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/detail/pool_client.hpp>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>

#include "kernel/clock.hpp"
#include "pool/cancellations.hpp"
#include "sync/family.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {

using Lock = std::unique_lock<std::mutex>;

// A worker's death shows nowhere else than in its process, so a waiting thread looks this often.
inline constexpr std::chrono::milliseconds kLookEvery(5);

inline Deadline soonest(Deadline a, Deadline b) { return a.at_ns < b.at_ns ? a : b; }

inline bool is_past(Deadline deadline) {
  return deadline.is_poll() || (!deadline.is_never() && kernel::monotonic_ns() >= deadline.at_ns);
}

struct PoolWorker {
  std::uint32_t slot;
  std::string name;
  bytes::RawProcess process;
  bool leaving = false;        // has said that it goes; its place is taken already
  std::uint64_t seen_job = 0;  // the job it was seen to run, and since when
  std::int64_t seen_since_ns = 0;
};

class PoolClient::State {
 public:
  explicit State(PoolPlan plan);

  enum class Phase { open, closed, stopped };

  // Waits for `ready()`, draining the ring or, where another thread does that, for its news.
  // Without time it looks once. Requires: the mutex is held.
  template <class Ready>
  bool wait_until(Lock& lock, Deadline until, Ready ready);
  bool wait_until(Lock& lock, Deadline until, const std::stop_token& stop, auto ready) {
    return wait_until(lock, until, [&] { return ready() || stop.stop_requested(); }) && ready();
  }
  // Ends the workers, gently first. Requires: the baton.
  void end_workers(Lock& lock);
  // Delivers what the ring holds. Requires: the baton.
  void drain();
  // True when every worker has ended by `until`, and before a stop. Requires: the baton.
  bool await_workers(Lock& lock, Deadline until, const std::stop_token& stop = {});
  enum class Failing { all, calls };  // calls: and their callbacks run
  void fail_jobs(Failing which, const std::exception_ptr& error);
  void start_missing_workers();
  [[nodiscard]] bool is_time_to_look() const;
  // An item of the job has its result.
  void finish_item(const std::shared_ptr<Job>& job);
  // The job is done: tells who follows it.
  void retire(const std::shared_ptr<Job>& job);
  void forget(Job& job);

  // Has the collector run, from now on until the job is done.
  void attend(Job& job);
  void start_collector();
  // No callback runs behind this, unless it is called in one.
  void end_collector(Lock& lock);
  [[nodiscard]] bool on_collector() const { return collector_id == std::this_thread::get_id(); }
  void require_no_callback() const;
  void add_due(Job::Continuation continuation) {
    due.push_back(std::move(continuation));
    collector_changed.notify_one();
  }

  inline static State* abandoned = nullptr;  // inherited ones that were let go, in a forked child
  State* next_abandoned = nullptr;

  std::mutex mutex;
  std::condition_variable changed;
  bool draining = false;            // somebody has the baton
  std::uint32_t baton_waiters = 0;  // come before those who merely wait for a result
  Phase phase = Phase::open;
  std::exception_ptr broken;  // why no worker can be started

  const PoolPlan plan;
  const sync::MemberId owner;
  const bytes::TaskPool tasks;
  const pool::Cancellations cancellations;
  std::unordered_map<std::uint64_t, std::shared_ptr<Job>> jobs;
  std::uint64_t next_job = 1;
  std::vector<PoolWorker> workers;

  std::uint32_t waiters = 0;   // threads that wait, and drain therefore
  std::uint32_t attended = 0;  // unfinished jobs that need the collector
  std::uint32_t timed = 0;     // of these, with a time-out
  bool unattended = false;     // the collector is needed until all is done
  bool collector_ends = false;
  bool collector_gone = false;
  std::condition_variable collector_changed;
  std::thread collector;
  std::thread::id collector_id;
  // What the collector is to run; without a callback, the progress of `result`.
  std::deque<Job::Continuation> due;

 private:
  // Takes results for a moment and looks after the workers. Requires: the baton.
  void pump(Lock& lock, Deadline until);
  void deliver(bytes::Bytes message);
  void look_after_workers();
  void end_late_tasks();
  [[nodiscard]] std::exception_ptr loss_of(const PoolWorker& worker, int exit_code, const Job& job,
                                           std::uint32_t item);
  void collect();
  void run_next(Lock& lock);
  void run_progress(Lock& lock, const std::shared_ptr<Job>& job);
  void report_progress(const std::shared_ptr<Job>& job);
  [[nodiscard]] bool needs_collector() const {
    return attended > 0 || (unattended && (!jobs.empty() || !workers.empty()));
  }
  void bury(PoolWorker& worker, int exit_code);
  void note_early_death(int exit_code);
  void start_worker();
  [[nodiscard]] std::size_t active_workers() const;
  [[nodiscard]] std::size_t wanted_workers() const;
  void break_with(const std::exception_ptr& error);

  bytes::ByteMessage message_;
  std::vector<std::uint32_t> free_slots_;
  std::deque<std::int64_t> early_deaths_ns_;
  std::int64_t looked_ns_ = 0;
  std::uint32_t named_ = 0;
  std::uint64_t oom_kills_ = 0;
};

// Has the baton while it lives; waits for it first.
class Baton {
 public:
  Baton(PoolClient::State& state, Lock& lock);
  ~Baton();
  Baton(const Baton&) = delete;
  Baton& operator=(const Baton&) = delete;

 private:
  PoolClient::State& state_;
};

// Counts a thread that waits; the collector leaves the draining to it.
class Waiting {
 public:
  explicit Waiting(PoolClient::State& state) : state_(state) { ++state_.waiters; }
  ~Waiting() {
    if (--state_.waiters == 0) state_.collector_changed.notify_one();
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  PoolClient::State& state_;
};

template <class Ready>
bool PoolClient::State::wait_until(Lock& lock, Deadline until, Ready ready) {
  std::optional<Waiting> waiting;
  if (!until.is_poll()) waiting.emplace(*this);
  for (bool looked = false; !ready(); looked = true) {
    if (looked && is_past(until)) return false;
    if (!draining && baton_waiters == 0) {
      const Baton baton(*this, lock);
      pump(lock, until);
    } else if (until.is_poll()) {
      return false;
    } else {
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
