// A pool's task, seen from the worker that runs it.
//
//   task payload   CodePlace of a run_chunk<…> | size, captures | size, item | size, item | …
//   result         the encoded value (nothing for void), or write_current_exception()'s bytes
//
// Each piece says its size, so that one that cannot be decoded costs nothing but itself.
#pragma once

#include <cstdint>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/detail/calls/callable.hpp>
#include <forkful/detail/calls/exception.hpp>
#include <forkful/detail/executor/job.hpp>
#include <optional>
#include <tuple>
#include <type_traits>

namespace forkful {
inline namespace v0 {
namespace detail {

// Writes a piece of a payload with its size in front.
template <class Body>
void write_sized(Writer& to, Body&& body) {
  const std::size_t at = to.size();
  to.raw(std::uint64_t{0});
  body();
  const std::uint64_t size = to.size() - at - sizeof(std::uint64_t);
  to.patch(at, size);
}
inline Bytes read_sized(Reader& from) { return from.take(from.count(1)); }

// The chunk that a worker runs. Its function calls next() and then one of the commits for each
// item, in order.
class TaskRun {
 public:
  TaskRun(bytes::TaskPool::Worker& worker, Writer& result);

  [[nodiscard]] CodePlace code() const { return code_; }
  [[nodiscard]] Bytes captures() const { return captures_; }
  // The next item to run, its bytes in item(); false when there is none.
  bool next();
  [[nodiscard]] Reader item() const { return Reader(item_); }
  [[nodiscard]] Writer& result() { return result_; }
  void commit_value();
  // Call in a catch block.
  void commit_exception();
  // Every item that is left fails with the exception being handled. Call in a catch block.
  void fail_all();

 private:
  void commit(TaskStatus status);

  bytes::TaskPool::Worker& worker_;
  Writer& result_;
  Reader rest_;
  CodePlace code_;
  Bytes captures_;
  Bytes item_;
  std::uint32_t item_index_ = 0;
  bool begun_ = false;  // item_index_ has no result yet
};

using TaskCode = void(TaskRun&);

// F is called with each item's Args. What is called is found by this function's own address
// (CodePlace), which both processes know since they run one program; so no type travels.
template <class F, class Args>
void run_chunk(TaskRun& run) {
  Reader captures(run.captures());
  // What this throws fails every item: see TaskRun::fail_all().
  F function = read_callable<F>(captures);
  while (run.next()) {
    try {
      noting_throw([&] {
        Reader from = run.item();
        Args arguments = read_value<Args>(from);
        using R = typename Invocation<F, Args>::result;
        if constexpr (std::is_void_v<R>) {
          invoke_with(function, arguments);
        } else {
          write_argument<R>(run.result(), invoke_with(function, arguments));
        }
      });
      run.commit_value();
    } catch (...) {
      run.commit_exception();
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
