// A Future as the standard library's, for code that awaits those.
#pragma once

#include <exception>
#include <forkful/future.hpp>
#include <future>
#include <memory>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

template <class T>
class PromiseCallback final : public Callback {
 public:
  PromiseCallback(std::shared_ptr<FutureJob<T>> source, std::promise<T> promise)
      : source_(std::move(source)), promise_(std::move(promise)) {}
  void run() noexcept override {
    try {
      if constexpr (std::is_void_v<T>) {
        source_->take();
        promise_.set_value();
      } else {
        promise_.set_value(source_->take());
      }
    } catch (...) {
      promise_.set_exception(std::current_exception());
    }
  }
  // The source is done, with a value or with Cancelled.
  void drop(const std::exception_ptr&) noexcept override { run(); }

 private:
  std::shared_ptr<FutureJob<T>> source_;
  std::promise<T> promise_;
};

}  // namespace detail

// Takes the result over; it is handed on by the pool's thread for callbacks, so that wait_for() of
// the standard future works. Where the pool is stopped first, it throws Cancelled.
// Throws: Error, when the pool was stopped or joined.
template <class T>
[[nodiscard]] std::future<T> to_std_future(Future<T>&& future) {
  using detail::FutureAccess;
  std::promise<T> promise;
  std::future<T> standard = promise.get_future();
  const auto job = FutureAccess::job(future);
  FutureAccess::client(future)->follow(
      *job, std::make_unique<detail::PromiseCallback<T>>(job, std::move(promise)),
      std::make_shared<detail::LocalJob<void>>());
  future = {};
  return standard;
}

}  // namespace v0
}  // namespace forkful
