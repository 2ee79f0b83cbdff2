// What a pool's client knows: its jobs, its workers, and who drains the ring of results.
//
// Locking: `mutex` guards everything; the baton (`draining`) is the right to take results from the
// ring and to change the list of workers. Its holder lets the mutex go while it sleeps.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/detail/pool_client.hpp>
#include <mutex>
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
  bytes::RawProcess process;
  bool leaving = false;  // has said that it goes; its place is taken already
};

class PoolClient::State {
 public:
  explicit State(PoolPlan plan);

  enum class Phase { open, closed, stopped };

  // Waits for `ready()`, draining the ring or, where another thread does that, for its news.
  // Without time it looks once. Requires: the mutex is held.
  template <class Ready>
  bool wait_until(Lock& lock, Deadline until, Ready ready);
  // Ends the workers, gently first. Requires: the baton.
  void end_workers(Lock& lock);
  // Delivers what the ring holds. Requires: the baton.
  void drain();
  // True when every worker has ended by `until`. Requires: the baton.
  bool await_workers(Lock& lock, Deadline until);
  void fail_jobs(const std::exception_ptr& error);
  void start_missing_workers();

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

 private:
  // Takes results for a moment and looks after the workers. Requires: the baton.
  void pump(Lock& lock, Deadline until);
  void deliver(bytes::Bytes message);
  void finish_item(Job& job);
  void look_after_workers();
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

template <class Ready>
bool PoolClient::State::wait_until(Lock& lock, Deadline until, Ready ready) {
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
