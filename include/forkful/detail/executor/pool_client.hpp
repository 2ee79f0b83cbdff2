// The client's side of a pool, below the types: workers, jobs, and who collects results.
//
// A thread that waits takes the baton, drains the ring of results for everybody and looks after the
// workers, and hands the baton on when it has what it wanted. Every call that touches the pool does
// the same for a moment. A thread of the client's own, the attendant, exists once there was a call
// that nobody waits for at once: it has the baton while nobody else wants it and there is work; see
// bytes/attendance.hpp. Callbacks have another, so that one may wait for whatever the pool does.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <forkful/bytes/message.hpp>
#include <forkful/bytes/process.hpp>
#include <forkful/detail/codec/buffer.hpp>
#include <forkful/detail/executor/job.hpp>
#include <forkful/wait.hpp>
#include <memory>
#include <stop_token>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace detail {

struct PoolPlan {
  unsigned processes = 0;  // 0: cpu_count()
  Context context = Context::spawn;
  std::uint32_t max_tasks_per_child = 0;
  bytes::RawProcess::Entry initializer = nullptr;
  std::vector<std::byte> initializer_payload;
  bytes::Carried carried;  // what the initializer's payload names
};

// Threads: any. Fork: inert in the child.
class PoolClient {
 public:
  explicit PoolClient(PoolPlan plan);
  ~PoolClient();
  PoolClient(const PoolClient&) = delete;
  PoolClient& operator=(const PoolClient&) = delete;

  [[nodiscard]] bool is_ours() const noexcept;
  [[nodiscard]] unsigned processes() const;
  [[nodiscard]] std::vector<int> pids() const;

  // Announces a job of `items` items; the tasks that make it up follow. If they cannot, forget()
  // it. Throws: Error, when the pool was closed; what broke it, when its workers cannot start;
  // std::invalid_argument, for a time-out below zero.
  void begin(const std::shared_ptr<Job>& job, std::uint32_t items, Attention attention = {});
  // A task for items [first, first + count) of the job, which holds what its payload names.
  // Throws: OsError(ENOSPC).
  void submit(Job& job, std::uint32_t first, std::uint32_t count, Bytes payload,
              bytes::Shares shares);
  // Drops the results that are still to come: the job was not submitted whole.
  void forget(Job& job);
  // True: no worker has begun the job, and none does; it fails with Cancelled. False: it is done,
  // it runs or it will run: a worker has claimed a task of it, or too many other jobs are being
  // cancelled.
  bool cancel(Job& job);
  // As forget(), and tasks of it that no worker has claimed yet do not run.
  void drop(Job& job);
  // Likewise, every task that no worker has claimed.
  void cancel_waiting();

  // Runs `callback` once `source` is done; `result` is a local job, done after the callback.
  // Throws: Error, when the pool was stopped or joined: no callback runs any more.
  void follow(Job& source, std::unique_ptr<Callback> callback, const std::shared_ptr<Job>& result);
  // Has the job's end noted in `into`.
  void watch(Job& job, const std::shared_ptr<EndedJobs>& into);

  // False when it is not done by the deadline, or a stop was requested first.
  // Throws: Error, in a callback that waits for another callback.
  bool wait(Job& job, Deadline deadline, const std::stop_token& stop = {});
  bool done(Job& job);
  // False when nothing has come to `ended` by the deadline.
  bool wait(const EndedJobs& ended, Deadline deadline);

  void close();
  // Has what was asked done though nobody waits. Requires: close().
  void finish_unattended();
  void terminate();
  // For destructors: terminate(), respectively close() and join(). Both end the program in a
  // callback, which would wait for itself.
  void end();
  void finish();
  // False when it is not over by the deadline, or a stop was requested first.
  // Throws: Error, when the pool is open still, and in a callback.
  bool join(Deadline deadline, const std::stop_token& stop = {});

 private:
  friend class Baton;
  friend class Waiting;
  class State;
  [[nodiscard]] State& ours() const;
  std::unique_ptr<State> state_;
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
