// The result of a call that may still be running.
#pragma once

#include <chrono>
#include <exception>
#include <forkful/detail/callable.hpp>
#include <forkful/detail/pool_client.hpp>
#include <forkful/errors.hpp>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {

class Pool;

namespace detail {

struct Nothing {};

// One result, or the exception in its place.
template <class T>
class CallJob final : public Job {
 public:
  T take() {
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<T>) {
      if (!value_) throw Error("this call has no result");
      return std::move(*value_);
    }
  }

 private:
  void set_value(std::uint32_t, Bytes bytes) noexcept override {
    try {
      if constexpr (!std::is_void_v<T>) {
        Reader from(bytes);
        value_.emplace(read_value<T>(from));
      }
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  void set_error(std::uint32_t, std::exception_ptr error) noexcept override {
    error_ = std::move(error);
  }

  std::optional<std::conditional_t<std::is_void_v<T>, Nothing, T>> value_;
  std::exception_ptr error_;
};

}  // namespace detail

// Made by Pool::apply_async().
//
// Threads:   one at a time.
// Ownership: movable, not copyable. The destructor neither waits nor cancels. A Future that
//            outlives its pool has Cancelled, unless its result came before.
// Death:     a worker killed while it ran the call makes get() throw WorkerDied.
template <class T>
class [[nodiscard]] Future {
 public:
  Future() = default;

  // Waits for the result and hands it out, once.
  // Throws: what the call threw, WorkerDied, Cancelled; Error, when called a second time.
  T get() {
    detail::CallJob<T>& job = require_job();
    (void)client_->wait(job, Deadline::never());
    const auto last = std::move(job_);
    return job.take();
  }
  void wait() { (void)client_->wait(require_job(), Deadline::never()); }
  // False when there is no result after `duration`.
  [[nodiscard]] bool wait_for(std::chrono::nanoseconds duration) {
    return client_->wait(require_job(), Deadline::in(duration));
  }
  [[nodiscard]] bool done() { return client_->done(require_job()); }
  // True: the call will not run, and get() throws Cancelled. False: a worker has begun it.
  [[nodiscard]] bool cancel() { return client_->cancel(require_job()); }
  // False for a Future without a call, and after get().
  [[nodiscard]] bool valid() const { return job_ != nullptr; }

 private:
  friend Pool;
  Future(std::shared_ptr<detail::PoolClient> client, std::shared_ptr<detail::CallJob<T>> job)
      : client_(std::move(client)), job_(std::move(job)) {}
  detail::CallJob<T>& require_job() const {
    if (!job_) throw Error("this Future has no result: get() hands it out once");
    return *job_;
  }

  std::shared_ptr<detail::PoolClient> client_;
  std::shared_ptr<detail::CallJob<T>> job_;
};

// Python's word for it.
template <class T>
using AsyncResult = Future<T>;

}  // namespace v0
}  // namespace forkful
