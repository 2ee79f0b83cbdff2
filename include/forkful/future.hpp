// The result of a call that may still be running.
//
//   Future<Image> image = pool.apply_async(render, scene);
//   show(image.get());
//
//   pool.apply_async(render, scene).then(show).on_error(report);   // and go on
#pragma once

#include <chrono>
#include <exception>
#include <forkful/detail/calls/callable.hpp>
#include <forkful/detail/executor/continuation.hpp>
#include <forkful/detail/executor/pool_client.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/errors.hpp>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {

namespace detail {
struct FutureAccess;
}

// Made by Pool and ProcessPoolExecutor.
//
// Threads:   one at a time.
// Ownership: movable, not copyable. The destructor neither waits nor cancels. A Future that
//            outlives its pool has Cancelled, unless its result came before.
// Death:     a worker killed while it ran the call makes get() throw WorkerDied.
template <class T>
class Future {
  template <class F>
  using then_t = std::decay_t<typename detail::ThenResult<T, std::decay_t<F>>::type>;
  // What get_for() answers: the value if it came; of nothing, whether it came.
  using Maybe = std::conditional_t<std::is_void_v<T>, bool, std::optional<T>>;

 public:
  Future() = default;

  // Waits for the result and hands it out, once.
  // Throws: what the call threw, WorkerDied, Cancelled; Error, when called a second time.
  T get() {
    wait();
    return take();
  }
  // Nothing, and the result stays, where it is not there in time, or a stop was requested first.
  [[nodiscard]] Maybe get_for(Duration duration) { return take_if(wait_for(duration)); }
  template <class Clock, class Unit>
  [[nodiscard]] Maybe get_until(const std::chrono::time_point<Clock, Unit>& when) {
    return take_if(wait_until(when));
  }
  [[nodiscard]] Maybe get(const std::stop_token& stop) { return take_if(wait(stop)); }

  void wait() { (void)client_of_job().wait(*job_, Deadline::never()); }
  // False when there is no result in time, or a stop was requested first.
  [[nodiscard]] bool wait_for(Duration duration) {
    return client_of_job().wait(*job_, Deadline::in(duration));
  }
  template <class Clock, class Unit>
  [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Unit>& when) {
    detail::PoolClient& client = client_of_job();
    return detail::attempt_by(when, [&](Deadline end) { return client.wait(*job_, end); });
  }
  [[nodiscard]] bool wait(const std::stop_token& stop) {
    return client_of_job().wait(*job_, Deadline::never(), stop);
  }

  [[nodiscard]] bool done() { return client_of_job().done(*job_); }
  // True: the call has not been begun and never runs, and get() throws Cancelled. False: it has
  // run, a worker has it and runs it, or, where some 16,000 calls are being cancelled, it may have
  // to be asked for again.
  [[nodiscard]] bool cancel() { return client_of_job().cancel(*job_); }
  // False for a Future without a call, after get(), and after then() or on_error().
  [[nodiscard]] bool valid() const { return job_ != nullptr; }

  // Callbacks take the result over. They run in this process, all of a pool's on one thread of its
  // own, one after the other, with every signal blocked: so they may capture anything, and should
  // be brief. They run whether or not the Future that they give is kept, at the latest in the
  // pool's join(); none runs after join(), and those that a terminate() or ~Pool overtakes are
  // dropped. What one throws is in its Future; it must not destroy the pool, nor get() the Future
  // of another callback.
  // Throws, both: Error, when the pool was stopped or joined.

  // Calls f(result); what f returns is the new Future's result. Where the call threw, f is not
  // called, and the new Future has the exception.
  template <class F>
  Future<then_t<F>> then(F&& f) && {
    using U = then_t<F>;
    auto next = std::make_shared<detail::LocalJob<U>>();
    client_of_job().follow(*job_,
                           std::make_unique<detail::ThenCallback<T, U, std::decay_t<F>>>(
                               job_, next, std::forward<F>(f)),
                           next);
    job_.reset();
    return Future<U>(std::move(client_), std::move(next));
  }
  // Calls f(exception) where the call threw, with a std::exception_ptr or a const std::exception&,
  // whichever f takes. What f returns takes the place of the result; if it returns nothing where a
  // result is awaited, the exception stays. Where the call did not throw, f is not called, and the
  // new Future has the result.
  template <class F>
    requires detail::ErrorHandler<std::decay_t<F>, T>
  Future<T> on_error(F&& f) && {
    auto next = std::make_shared<detail::LocalJob<T>>();
    client_of_job().follow(
        *job_,
        std::make_unique<detail::ErrorCallback<T, std::decay_t<F>>>(job_, next, std::forward<F>(f)),
        next);
    job_.reset();
    return Future<T>(std::move(client_), std::move(next));
  }

 private:
  friend detail::FutureAccess;
  template <class U>
  friend class Future;

  Future(std::shared_ptr<detail::PoolClient> client, std::shared_ptr<detail::FutureJob<T>> job)
      : client_(std::move(client)), job_(std::move(job)) {}

  [[nodiscard]] detail::PoolClient& client_of_job() const {
    if (!job_) {
      throw Error(
          "this Future has no result: it is handed out once, by get() or then(), so keep what that "
          "gave; and a Future that was made empty or moved from never has one");
    }
    return *client_;
  }
  // Requires: it is done.
  T take() {
    const auto last = std::move(job_);
    return last->take();
  }
  Maybe take_if(bool done) {
    if constexpr (std::is_void_v<T>) {
      if (done) take();
      return done;
    } else {
      return done ? Maybe(take()) : Maybe();
    }
  }

  std::shared_ptr<detail::PoolClient> client_;
  std::shared_ptr<detail::FutureJob<T>> job_;
};

// Python's word for it.
template <class T>
using AsyncResult = Future<T>;

namespace detail {

// For those who make Futures, and for those who await several.
struct FutureAccess {
  template <class T>
  [[nodiscard]] static Future<T> make(std::shared_ptr<PoolClient> client,
                                      std::shared_ptr<FutureJob<T>> job) {
    return {std::move(client), std::move(job)};
  }
  // Throws, both: Error, for a Future without a result.
  template <class T>
  [[nodiscard]] static const std::shared_ptr<PoolClient>& client(const Future<T>& future) {
    (void)future.client_of_job();
    return future.client_;
  }
  template <class T>
  [[nodiscard]] static const std::shared_ptr<FutureJob<T>>& job(const Future<T>& future) {
    (void)future.client_of_job();
    return future.job_;
  }
};

// The Future of a job, whose type is a FutureJob's.
template <class Job>
[[nodiscard]] auto future_of(std::shared_ptr<PoolClient> client, std::shared_ptr<Job> job) {
  using T = decltype(job->take());
  return FutureAccess::make<T>(std::move(client), std::move(job));
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
