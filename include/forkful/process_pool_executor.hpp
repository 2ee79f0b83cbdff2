// A pool of worker processes that finishes what it was given.
//
//   forkful::ProcessPoolExecutor executor({.max_workers = 4});
//   Future<int> answer = executor.submit(compute, 42);
//   for (const Page& page : executor.map(render, documents)) …
//   for (Future<int>& done : forkful::as_completed(futures)) …
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <forkful/context.hpp>
#include <forkful/detail/executor/chunk_results.hpp>
#include <forkful/detail/executor/map_job.hpp>
#include <forkful/detail/executor/pool_client.hpp>
#include <forkful/future.hpp>
#include <forkful/initializer.hpp>
#include <forkful/pool_options.hpp>
#include <iterator>
#include <memory>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {

struct ExecutorOptions {
  int max_workers = 0;  // 0: cpu_count()
  Initializer initializer = {};
  // A worker is replaced by a fresh one after so many tasks; 0: never.
  std::uint32_t max_tasks_per_child = 0;
  Context context = Context::spawn;
  // Lets lambdas capture numbers that look like addresses; see BadCapture.
  bool allow_addresses = false;
};

struct ShutdownOptions {
  bool wait = true;             // until all is done; otherwise it goes on afterwards
  bool cancel_futures = false;  // those that no worker has begun have Cancelled
};

// Made by ProcessPoolExecutor::map(). An input view: it can be walked once, also when the executor
// is gone.
//
// Threads:   one at a time.
// Ownership: movable, not copyable. The destructor cancels what no worker has begun; it does not
//            wait.
template <class R>
class ExecutorResults : public std::ranges::view_interface<ExecutorResults<R>> {
 public:
  // Walks the results; * throws what the item's call threw, and ++ goes on to the next one.
  auto begin() { return Iterator<false>(*this); }
  // Walks Outcome<R>s.
  auto outcomes() & { return std::ranges::subrange(Iterator<true>(*this), end()); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  friend class ProcessPoolExecutor;
  template <bool kOutcomes>
  using Iterator = detail::OutcomeIterator<ExecutorResults, R, kOutcomes>;
  template <class View, class Result, bool kOutcomes>
  friend class detail::OutcomeIterator;

  explicit ExecutorResults(std::shared_ptr<detail::PoolClient> client)
      : results_(std::move(client)) {}
  void advance() { results_.advance(); }
  [[nodiscard]] auto& current() { return results_.current(); }

  detail::ChunkResults<R, detail::ImapOrder::items> results_;
};

// Threads:   any thread may call anything.
// Ownership: movable, not copyable. The destructor waits until all is done.
// Death:     a worker that dies costs the call it was running, whose Future has WorkerDied, and is
//            replaced; the executor goes on. (Python's breaks.)
// Fork:      belongs to the process that made it; inert in a forked child.
class ProcessPoolExecutor {
 public:
  // Throws: NotInitialized, OsError, std::invalid_argument.
  explicit ProcessPoolExecutor(ExecutorOptions options = {})
      : ProcessPoolExecutor(PoolOptions{.processes = options.max_workers,
                                        .initializer = std::move(options.initializer),
                                        .max_tasks_per_child = options.max_tasks_per_child,
                                        .context = options.context,
                                        .allow_addresses = options.allow_addresses}) {}
  explicit ProcessPoolExecutor(int max_workers)
      : ProcessPoolExecutor(ExecutorOptions{.max_workers = max_workers}) {}

  ProcessPoolExecutor(ProcessPoolExecutor&&) noexcept = default;
  ProcessPoolExecutor& operator=(ProcessPoolExecutor&& other) noexcept {
    finish();
    client_ = std::move(other.client_);
    check_ = other.check_;
    return *this;
  }
  ~ProcessPoolExecutor() { finish(); }

  // f(args...) in a worker. The arguments are encoded before this returns.
  // Throws: Error, after shutdown(); BadCapture, OsError; std::invalid_argument, for a time-out
  // below zero.
  template <class F = detail::OverloadSet, class... A>
    requires(!std::same_as<std::decay_t<F>, TaskOptions>)
  [[nodiscard]] auto submit(F&& f, const A&... args) {
    return submit(TaskOptions{}, std::forward<F>(f), args...);
  }
  template <class F = detail::OverloadSet, class... A>
  [[nodiscard]] auto submit(TaskOptions options, F&& f, const A&... args) {
    if constexpr (detail::require_call<std::decay_t<F>, std::tuple<detail::encoded_t<A>...>>()) {
      return detail::future_of(
          client_, detail::send_call<std::decay_t<F>>(*client_, check_,
                                                      {.timeout = options.timeout}, f, args...));
    }
  }

  // f(item) for each item, all submitted before this returns: a view of the results in the order of
  // the items.
  template <class F = detail::OverloadSet, class Range>
  [[nodiscard]] auto map(F&& f, Range&& items, const MapOptions& options = {}) {
    if constexpr (detail::require_map<F, Range>()) {
      using Item = detail::encoded_t<std::ranges::range_reference_t<Range>>;
      return submit_all<std::decay_t<F>, Item>(f, items, options);
    }
  }

  // No more calls. Those there are run to their end, where they are not cancelled.
  void shutdown(ShutdownOptions options = {}) {
    client_->close();
    if (options.cancel_futures) client_->cancel_waiting();
    if (options.wait) {
      (void)client_->join(Deadline::never());
    } else {
      client_->finish_unattended();
    }
  }

  [[nodiscard]] int max_workers() const { return static_cast<int>(client_->processes()); }
  [[nodiscard]] std::vector<int> worker_pids() const { return client_->pids(); }

 private:
  template <class F, class Item, class Range>
  auto submit_all(const F& f, Range& items, const MapOptions& options) {
    using Args = std::tuple<Item>;
    using R = typename detail::Invocation<F, Args>::result;
    static_assert(!std::is_void_v<R>,
                  "forkful: an executor's map() needs a function that returns something; use "
                  "submit(), or a Pool's map(), for others");
    detail::refuse_progress(options);
    ExecutorResults<R> results(client_);
    detail::ChunkWriter<F, Args> task(f, check_);
    const std::size_t chunk = options.chunk_size != 0 ? options.chunk_size : 1;
    const auto send = [&] {
      auto job = std::make_shared<detail::ChunkJob<R>>(task.count());
      detail::send_whole<F, Args>(*client_, job, task);
      results.results_.add(std::move(job));
    };
    for (auto&& item : items) {
      task.add([&](Writer& to) { detail::write_argument<Item>(to, item); });
      if (task.count() == chunk) send();
    }
    if (task.count() != 0) send();
    return results;
  }

  explicit ProcessPoolExecutor(PoolOptions options)
      : check_(detail::checks_captures(options)),
        client_(detail::make_client(std::move(options))) {}

  void finish() noexcept {
    if (client_ && client_->is_ours()) client_->finish();
    client_.reset();
  }

  bool check_ = true;
  std::shared_ptr<detail::PoolClient> client_;
};

}  // namespace v0
}  // namespace forkful
