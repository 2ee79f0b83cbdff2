// The client's side of a pool, below the types: workers, jobs, and who collects results.
//
// No thread of the engine's: a thread that waits takes the baton, drains the ring of results for
// everybody and looks after the workers, and hands the baton on when it has what it wanted. Every
// call that touches the pool does the same for a moment.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <forkful/bytes/message.hpp>
#include <forkful/bytes/process.hpp>
#include <forkful/detail/buffer.hpp>
#include <forkful/wait.hpp>
#include <memory>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace detail {

// The results that one call awaits.
//
// Threads: whoever holds the baton delivers, never two at once; what was delivered may be read when
// the client says that the job is done.
class Job {
 public:
  virtual ~Job() = default;

 private:
  friend class PoolClient;
  // Item `index` has its result. Must not throw.
  virtual void set_value(std::uint32_t index, Bytes value) noexcept = 0;
  virtual void set_error(std::uint32_t index, std::exception_ptr error) noexcept = 0;

  std::uint64_t id_ = 0;
  std::uint32_t missing_ = 0;  // items without a result
  bool done_ = false;
};

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
  // it. Throws: Error, when the pool was closed; what broke it, when its workers cannot start.
  void begin(const std::shared_ptr<Job>& job, std::uint32_t items);
  // A task for items [first, first + count) of the job. Throws: OsError(ENOSPC).
  void submit(Job& job, std::uint32_t first, std::uint32_t count, Bytes payload);
  // Drops the results that are still to come: the job was not submitted whole.
  void forget(Job& job);
  // Drops the job: its results are dropped, and tasks of it that wait do not run. False when it
  // is done, or a worker has begun it.
  bool cancel(Job& job);

  // False when it is not done by the deadline.
  bool wait(Job& job, Deadline deadline);
  bool done(Job& job);

  void close();
  void terminate();
  // Throws: Error, when the pool is open still.
  void join();

 private:
  friend class Baton;
  class State;
  [[nodiscard]] State& ours() const;
  std::unique_ptr<State> state_;
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
