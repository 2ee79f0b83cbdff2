// How Future::then() and Future::on_error() are made: a callback that takes the result of one job
// and makes that of another. Everything here runs in the client, on the thread of the pool's
// callbacks.
#pragma once

#include <concepts>
#include <exception>
#include <forkful/detail/executor/value_job.hpp>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

// What then(F) makes of a T; nothing of void.
template <class T, class F>
struct ThenResult {
  using type = std::invoke_result_t<F&, T>;
};
template <class F>
struct ThenResult<void, F> {
  using type = std::invoke_result_t<F&>;
};

// Where the source has an exception, take() throws it, so the function is not called and the
// exception becomes the result.
template <class T, class U, class F>
class ThenCallback final : public Callback {
 public:
  ThenCallback(std::shared_ptr<FutureJob<T>> source, std::shared_ptr<LocalJob<U>> result, F f)
      : source_(std::move(source)), result_(std::move(result)), function_(std::move(f)) {}

  void run() noexcept override {
    result_->set_by([&]() -> decltype(auto) {
      if constexpr (std::is_void_v<T>) {
        source_->take();
        return std::invoke(function_);
      } else {
        return std::invoke(function_, source_->take());
      }
    });
  }

 private:
  std::shared_ptr<FutureJob<T>> source_;
  std::shared_ptr<LocalJob<U>> result_;
  F function_;
};

template <class F, class T>
concept ErrorHandler =
    std::invocable<F&, std::exception_ptr> || std::invocable<F&, const std::exception&>;

// Where the source has a value, the handler is not called. Nor is a handler of const
// std::exception& where the exception is of another kind.
template <class T, class F>
class ErrorCallback final : public Callback {
 public:
  ErrorCallback(std::shared_ptr<FutureJob<T>> source, std::shared_ptr<LocalJob<T>> result, F f)
      : source_(std::move(source)), result_(std::move(result)), function_(std::move(f)) {}

  void run() noexcept override {
    result_->set_by([&]() -> T {
      if (!source_->failed()) return source_->take();
      if constexpr (std::invocable<F&, std::exception_ptr>) {
        return handle([&]() -> decltype(auto) {
          try {
            source_->take();
          } catch (...) {
            return std::invoke(function_, std::current_exception());
          }
          std::terminate();  // failed() told that it throws
        });
      } else {
        try {
          source_->take();
        } catch (const std::exception& error) {
          return handle([&]() -> decltype(auto) { return std::invoke(function_, error); });
        }
        std::terminate();
      }
    });
  }

 private:
  // A handler that returns nothing where a value is awaited leaves the exception in its place.
  template <class Call>
  T handle(Call&& call) {
    if constexpr (std::is_void_v<T> || !std::is_void_v<decltype(call())>) {
      return static_cast<T>(call());
    } else {
      call();
      return source_->take();
    }
  }

  std::shared_ptr<FutureJob<T>> source_;
  std::shared_ptr<LocalJob<T>> result_;
  F function_;
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
