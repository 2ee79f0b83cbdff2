// co_await of a Future. (Not part of forkful.hpp.)
//
//   Task handle(Pool& pool, Request request) {
//     const Answer answer = co_await pool.apply_async(compute, request);
//     …                                  // on the pool's thread for callbacks, from here on
//   }
//
// The coroutine goes on on the pool's one thread for callbacks, with every signal blocked, and so
// under their rules: be brief, or move to a thread of your own; do not destroy the pool; do not
// get() what another callback gives. When the pool is stopped first, co_await throws Cancelled
// there. The coroutine's own type is yours to bring.
#pragma once

#include <coroutine>
#include <exception>
#include <forkful/future.hpp>
#include <memory>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

class ResumeCallback final : public Callback {
 public:
  explicit ResumeCallback(std::coroutine_handle<> coroutine) : coroutine_(coroutine) {}
  void run() noexcept override { coroutine_.resume(); }
  // await_resume() finds the source done, with a value or with Cancelled.
  void drop(const std::exception_ptr&) noexcept override { coroutine_.resume(); }

 private:
  std::coroutine_handle<> coroutine_;
};

template <class T>
class FutureAwaiter {
 public:
  explicit FutureAwaiter(Future<T>&& future) : future_(std::move(future)) {}
  [[nodiscard]] bool await_ready() { return future_.done(); }
  void await_suspend(std::coroutine_handle<> coroutine) {
    // The coroutine may go on, and end, before follow() returns: this object is not used after it.
    FutureAccess::client(future_)->follow(*FutureAccess::job(future_),
                                          std::make_unique<ResumeCallback>(coroutine),
                                          std::make_shared<LocalJob<void>>());
  }
  T await_resume() { return future_.get(); }

 private:
  Future<T> future_;
};

}  // namespace detail

// Takes the result over. Throws: what get() throws; Error, when the pool was stopped or joined.
template <class T>
[[nodiscard]] auto operator co_await(Future<T>&& future) {
  return detail::FutureAwaiter<T>(std::move(future));
}
template <class T>
[[nodiscard]] auto operator co_await(Future<T>& future) {
  return detail::FutureAwaiter<T>(std::move(future));
}

}  // namespace v0
}  // namespace forkful
