// A pool of worker processes.
//
//   forkful::Pool pool(4);
//   std::vector<double> roots = pool.map([](double x) { return std::sqrt(x); }, numbers);
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <forkful/context.hpp>
#include <forkful/detail/map_job.hpp>
#include <forkful/detail/pool_client.hpp>
#include <forkful/future.hpp>
#include <forkful/imap.hpp>
#include <iterator>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

// A callable with its arguments that every worker runs first: .initializer = load_model, or
// .initializer = forkful::bind(load_model, path).
class Initializer {
 public:
  Initializer() = default;
  template <class F = detail::OverloadSet>
    requires(!std::same_as<std::decay_t<F>, Initializer>)
  Initializer(F&& f) : entry_(detail::run_call<std::decay_t<F>, std::tuple<>>) {
    detail::Writer call;
    call.carry_into(carried_);
    detail::write_call<std::decay_t<F>>(call, f, true);
    if (!carried_.descriptors.empty()) {
      throw Error("an initializer cannot have a Connection: each new worker would need it again");
    }
    payload_.assign(call.view().begin(), call.view().end());
  }

 private:
  friend Pool;
  bytes::RawProcess::Entry entry_ = nullptr;
  std::vector<std::byte> payload_;
  bytes::Carried carried_;
};

struct PoolOptions {
  int processes = 0;  // 0: cpu_count()
  Initializer initializer = {};
  // A worker is replaced by a fresh one after so many chunks of tasks; 0: never.
  std::uint32_t max_tasks_per_child = 0;
  Context context = Context::spawn;
  // Lets lambdas capture numbers that look like addresses; see BadCapture.
  bool allow_addresses = false;
};

struct MapOptions {
  std::size_t chunk_size = 0;  // items a task; 0: four tasks a worker, and for imap() 1
};

// Threads:   any thread may call anything.
// Ownership: movable, not copyable. The destructor stops the workers within a second or so and
//            cancels what is unfinished; close() and join() finish it.
// Death:     a worker that dies costs the item it was running, whose call throws WorkerDied, and is
//            replaced; every other item is run once.
// Fork:      belongs to the process that made it; inert in a forked child.
class Pool {
 public:
  explicit Pool(int processes) : Pool(PoolOptions{.processes = processes}) {}
  // Throws: NotInitialized, OsError, std::invalid_argument.
  explicit Pool(PoolOptions options = {})
      : client_(std::make_shared<detail::PoolClient>(plan_of(options))),
        check_(options.context != Context::fork && !options.allow_addresses) {}

  Pool(Pool&&) noexcept = default;
  Pool& operator=(Pool&& other) noexcept {
    stop();
    client_ = std::move(other.client_);
    check_ = other.check_;
    return *this;
  }
  ~Pool() { stop(); }

  // f(item) for each item, in a vector in the order of the items; void when f returns nothing, and
  // a vector<char> for bool. Waits for all of them.
  // Throws: what f threw for the first item that failed; WorkerDied; Cancelled.
  template <class F = detail::OverloadSet, std::ranges::input_range Range>
  auto map(F&& f, Range&& items, MapOptions options = {}) {
    using Item = detail::encoded_t<std::ranges::range_reference_t<Range>>;
    return run_map<std::decay_t<F>, std::tuple<Item>>(
        f, std::forward<Range>(items), options,
        [](Writer& to, const auto& item) { detail::write_argument<Item>(to, item); });
  }

  // As map(), for items that are tuples (or pairs) of arguments: f(a, b) for each {a, b}.
  template <class F = detail::OverloadSet, std::ranges::input_range Range>
  auto starmap(F&& f, Range&& items, MapOptions options = {}) {
    using Tuple = typename AsTuple<std::decay_t<std::ranges::range_reference_t<Range>>>::type;
    return run_map<std::decay_t<F>, Tuple>(f, std::forward<Range>(items), options,
                                           [](Writer& to, const auto& item) {
                                             AsTuple<std::decay_t<decltype(item)>>::write(to, item);
                                           });
  }

  // As map(), writing the results to `out`; returns the iterator behind the last one.
  template <class F = detail::OverloadSet, std::ranges::input_range Range, class Out>
  Out map_into(F&& f, Range&& items, Out out, MapOptions options = {}) {
    auto results = map(std::forward<F>(f), std::forward<Range>(items), options);
    return std::ranges::move(results, std::move(out)).out;
  }

  // As map(), lazily: a view of the results in the order of the items; see ImapView.
  template <class F = detail::OverloadSet, std::ranges::viewable_range Range>
  auto imap(F&& f, Range&& items, MapOptions options = {}) {
    using Item = detail::encoded_t<std::ranges::range_reference_t<Range>>;
    if constexpr (detail::require_call<std::decay_t<F>, std::tuple<Item>>()) {
      return ImapView<std::decay_t<F>, std::views::all_t<Range>>(
          client_, f, std::views::all(std::forward<Range>(items)), options.chunk_size, check_);
    }
  }

  // f(args...) in a worker; waits for its result.
  template <class F = detail::OverloadSet, class... A>
  auto apply(F&& f, const A&... args) {
    if constexpr (detail::require_call<std::decay_t<F>, std::tuple<detail::encoded_t<A>...>>()) {
      return apply_async(std::forward<F>(f), args...).get();
    }
  }

  // f(args...) in a worker, some time. The arguments are encoded before this returns.
  template <class F = detail::OverloadSet, class... A>
  auto apply_async(F&& f, const A&... args) {
    using Function = std::decay_t<F>;
    using Args = std::tuple<detail::encoded_t<A>...>;
    using R = typename detail::Invocation<Function, Args>::result;
    if constexpr (detail::require_call<Function, Args>()) {
      auto job = std::make_shared<detail::CallJob<R>>();
      // What cannot be encoded throws here, before anything was announced.
      detail::ChunkWriter<Function, Args> task(f, check_);
      task.add([&](Writer& to) { (detail::write_argument<detail::encoded_t<A>>(to, args), ...); });
      detail::send_whole<Function, Args>(*client_, job, task);
      return Future<R>(client_, std::move(job));
    }
  }

  // No more tasks; the workers leave when they have done those there are.
  void close() { client_->close(); }
  // Stops the workers and cancels what is unfinished.
  void terminate() { client_->terminate(); }
  // Waits until every task is done and the workers have left. Requires: close() or terminate().
  void join() { client_->join(); }

  [[nodiscard]] int processes() const { return static_cast<int>(client_->processes()); }
  [[nodiscard]] std::vector<int> worker_pids() const { return client_->pids(); }

 private:
  template <class T>
  struct AsTuple;
  template <class... T>
  struct AsTuple<std::tuple<T...>> {
    using type = std::tuple<detail::encoded_t<T>...>;
    static void write(Writer& to, const std::tuple<T...>& item) {
      std::apply(
          [&](const T&... each) { (detail::write_argument<detail::encoded_t<T>>(to, each), ...); },
          item);
    }
  };
  template <class A, class B>
  struct AsTuple<std::pair<A, B>> {
    using type = std::tuple<detail::encoded_t<A>, detail::encoded_t<B>>;
    static void write(Writer& to, const std::pair<A, B>& item) {
      detail::write_argument<detail::encoded_t<A>>(to, item.first);
      detail::write_argument<detail::encoded_t<B>>(to, item.second);
    }
  };

  static detail::PoolPlan plan_of(PoolOptions& options) {
    constexpr int kMost = 2048;
    if (options.processes < 0 || options.processes > kMost) {
      throw std::invalid_argument("a pool has 1 to 2048 processes (0: as many as CPUs)");
    }
    return {.processes = static_cast<unsigned>(options.processes),
            .context = options.context,
            .max_tasks_per_child = options.max_tasks_per_child,
            .initializer = options.initializer.entry_,
            .initializer_payload = std::move(options.initializer.payload_),
            .carried = std::move(options.initializer.carried_)};
  }

  template <class F, class Args, class Range, class WriteItem>
  auto run_map(const F& f, Range&& items, MapOptions options, WriteItem&& write_item) {
    if constexpr (!detail::require_call<F, Args>()) {
      // The compiler says why.
    } else if constexpr (std::ranges::forward_range<Range> || std::ranges::sized_range<Range>) {
      const auto count = static_cast<std::size_t>(std::ranges::distance(items));
      return run_counted<F, Args>(f, items, count, options, write_item);
    } else {
      std::vector<std::ranges::range_value_t<Range>> all;
      for (auto&& item : items) all.emplace_back(std::forward<decltype(item)>(item));
      return run_counted<F, Args>(f, all, all.size(), options, write_item);
    }
  }

  template <class F, class Args, class Range, class WriteItem>
  auto run_counted(const F& f, Range& items, std::size_t count, MapOptions options,
                   WriteItem& write_item) {
    using R = typename detail::Invocation<F, Args>::result;
    auto job = std::make_shared<detail::MapJob<R>>(count);
    client_->begin(job, detail::checked_count(count));
    const std::size_t chunk = options.chunk_size != 0
                                  ? options.chunk_size
                                  : detail::automatic_chunk(count, client_->processes());
    try {
      detail::ChunkWriter<F, Args> task(f, check_);
      std::uint32_t first = 0;
      for (auto&& item : items) {
        task.add([&](Writer& to) { write_item(to, item); });
        if (task.count() == chunk) first = task.submit(*client_, *job, first);
      }
      task.submit(*client_, *job, first);
    } catch (...) {
      client_->forget(*job);
      throw;
    }
    (void)client_->wait(*job, Deadline::never());
    job->rethrow();
    return collect<R>(*job);
  }

  template <class R>
  static auto collect(detail::MapJob<R>& job) {
    if constexpr (!std::is_void_v<R>) {
      std::vector<std::conditional_t<std::is_same_v<R, bool>, char, R>> results;
      results.reserve(job.values().size());
      for (auto& value : job.values()) {
        if (!value) throw Error("an item of this call has no result");
        results.push_back(std::move(*value));
      }
      return results;
    }
  }

  void stop() noexcept {
    if (client_ && client_->is_ours()) client_->terminate();
    client_.reset();
  }

  std::shared_ptr<detail::PoolClient> client_;
  bool check_ = true;
};

}  // namespace v0
}  // namespace forkful
