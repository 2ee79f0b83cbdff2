// A pool of worker processes.
//
//   forkful::Pool pool(4);
//   std::vector<double> roots = pool.map([](double x) { return std::sqrt(x); }, numbers);
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <forkful/detail/executor/map_job.hpp>
#include <forkful/detail/executor/pool_client.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/future.hpp>
#include <forkful/imap.hpp>
#include <forkful/pool_options.hpp>
#include <memory>
#include <ranges>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

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
      : check_(detail::checks_captures(options)),
        client_(detail::make_client(std::move(options))) {}

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
  template <class F = detail::OverloadSet, class Range>
  auto map(F&& f, Range&& items, const MapOptions& options = {}) {
    if constexpr (detail::require_map<F, Range>()) {
      return start_map(f, std::forward<Range>(items), options, true).get();
    }
  }
  // Likewise, as a Future. The items are encoded before this returns.
  template <class F = detail::OverloadSet, class Range>
  [[nodiscard]] auto map_async(F&& f, Range&& items, const MapOptions& options = {}) {
    return start_map(f, std::forward<Range>(items), options, false);
  }

  // As map(), for items that are tuples (or pairs) of arguments: f(a, b) for each {a, b}.
  template <class F = detail::OverloadSet, class Range>
  auto starmap(F&& f, Range&& items, const MapOptions& options = {}) {
    if constexpr (require_starmap<F, Range>()) {
      return start_starmap(f, std::forward<Range>(items), options, true).get();
    }
  }
  template <class F = detail::OverloadSet, class Range>
  [[nodiscard]] auto starmap_async(F&& f, Range&& items, const MapOptions& options = {}) {
    return start_starmap(f, std::forward<Range>(items), options, false);
  }

  // As map(), writing the results to `out`; returns the iterator after the last one.
  template <class F = detail::OverloadSet, class Range, class Out>
  Out map_into(F&& f, Range&& items, Out out, const MapOptions& options = {}) {
    auto results = map(std::forward<F>(f), std::forward<Range>(items), options);
    return std::ranges::move(results, std::move(out)).out;
  }

  // As map(), lazily: a view of the results in the order of the items; see ImapView.
  template <class F = detail::OverloadSet, class Range>
  [[nodiscard]] auto imap(F&& f, Range&& items, const MapOptions& options = {}) {
    return make_imap<F, detail::ImapOrder::items>(f, std::forward<Range>(items), options);
  }
  // Likewise, in the order in which the results come.
  template <class F = detail::OverloadSet, class Range>
  [[nodiscard]] auto imap_unordered(F&& f, Range&& items, const MapOptions& options = {}) {
    return make_imap<F, detail::ImapOrder::completion>(f, std::forward<Range>(items), options);
  }

  // f(args...) in a worker; waits for its result.
  template <class F = detail::OverloadSet, class... A>
  auto apply(F&& f, const A&... args) {
    if constexpr (detail::require_call<std::decay_t<F>, std::tuple<detail::encoded_t<A>...>>()) {
      return call({.awaited = true}, f, args...).get();
    }
  }

  // f(args...) in a worker, some time. The arguments are encoded before this returns.
  // Throws: std::invalid_argument, for a time-out below zero.
  template <class F = detail::OverloadSet, class... A>
    requires(!std::same_as<std::decay_t<F>, TaskOptions>)
  [[nodiscard]] auto apply_async(F&& f, const A&... args) {
    return apply_async(TaskOptions{}, std::forward<F>(f), args...);
  }
  template <class F = detail::OverloadSet, class... A>
  [[nodiscard]] auto apply_async(TaskOptions options, F&& f, const A&... args) {
    if constexpr (detail::require_call<std::decay_t<F>, std::tuple<detail::encoded_t<A>...>>()) {
      return call({.timeout = options.timeout}, f, args...);
    }
  }

  // No more tasks; the workers leave when they have done those there are.
  void close() { client_->close(); }
  // Stops the workers within a second or so and cancels what is unfinished; says on stderr how much
  // that was.
  void terminate() { client_->terminate(); }
  // Waits until every task is done, the workers have left and the callbacks have run.
  // Requires: close() or terminate().
  void join() { (void)client_->join(Deadline::never()); }
  // False when it is not over in time, or a stop was requested first.
  [[nodiscard]] bool join_for(Duration duration) { return client_->join(Deadline::in(duration)); }
  template <class Clock, class Unit>
  [[nodiscard]] bool join_until(const std::chrono::time_point<Clock, Unit>& when) {
    return detail::attempt_by(when, [&](Deadline end) { return client_->join(end); });
  }
  [[nodiscard]] bool join(const std::stop_token& stop) {
    return client_->join(Deadline::never(), stop);
  }

  [[nodiscard]] int processes() const { return static_cast<int>(client_->processes()); }
  [[nodiscard]] std::vector<int> worker_pids() const { return client_->pids(); }

 private:
  template <class T>
  struct AsTuple {
    static_assert(detail::kNever<T>,
                  "forkful: starmap() takes items that are tuples or pairs of arguments, and these "
                  "are neither. Remedy: map(), which gives each item whole");
    using type = std::tuple<T>;
  };
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

  template <class Range>
  using TupleOf = typename AsTuple<std::decay_t<std::ranges::range_reference_t<Range>>>::type;
  template <class F, class Range>
  static constexpr bool require_starmap() {
    if constexpr (detail::require_items<F, Range>()) {
      return detail::require_call<std::decay_t<F>, TupleOf<Range>>();
    } else {
      return false;
    }
  }

  template <class F, detail::ImapOrder kOrder, class Range>
  auto make_imap(const std::remove_reference_t<F>& f, Range&& items, const MapOptions& options) {
    if constexpr (detail::require_map<F, Range>()) {
      detail::refuse_progress(options);
      return ImapView<std::decay_t<F>, std::views::all_t<Range>, kOrder>(
          client_, f, std::views::all(std::forward<Range>(items)), options.chunk_size, check_);
    }
  }

  template <class F, class... A>
  auto call(detail::Attention attention, const F& f, const A&... args) {
    return detail::future_of(client_, detail::send_call<std::decay_t<F>>(
                                          *client_, check_, std::move(attention), f, args...));
  }

  // `awaited`: the caller waits for it at once.
  template <class F, class Range>
  auto start_map(const F& f, Range&& items, const MapOptions& options, bool awaited) {
    if constexpr (detail::require_map<F, Range>()) {
      using Item = detail::encoded_t<std::ranges::range_reference_t<Range>>;
      return run_map<std::decay_t<F>, std::tuple<Item>>(
          f, std::forward<Range>(items), options, awaited,
          [](Writer& to, const auto& item) { detail::write_argument<Item>(to, item); });
    }
  }
  template <class F, class Range>
  auto start_starmap(const F& f, Range&& items, const MapOptions& options, bool awaited) {
    if constexpr (require_starmap<F, Range>()) {
      return run_map<std::decay_t<F>, TupleOf<Range>>(
          f, std::forward<Range>(items), options, awaited, [](Writer& to, const auto& item) {
            AsTuple<std::decay_t<decltype(item)>>::write(to, item);
          });
    }
  }

  template <class F, class Args, class Range, class WriteItem>
  auto run_map(const F& f, Range&& items, const MapOptions& options, bool awaited,
               WriteItem&& write_item) {
    if constexpr (std::ranges::forward_range<Range> || std::ranges::sized_range<Range>) {
      const auto count = static_cast<std::size_t>(std::ranges::distance(items));
      return run_counted<F, Args>(f, items, count, options, awaited, write_item);
    } else {
      std::vector<std::ranges::range_value_t<Range>> all;
      for (auto&& item : items) all.emplace_back(std::forward<decltype(item)>(item));
      return run_counted<F, Args>(f, all, all.size(), options, awaited, write_item);
    }
  }

  template <class F, class Args, class Range, class WriteItem>
  auto run_counted(const F& f, Range& items, std::size_t count, const MapOptions& options,
                   bool awaited, WriteItem& write_item) {
    auto job =
        std::make_shared<detail::MapJob<typename detail::Invocation<F, Args>::result>>(count);
    client_->begin(job, detail::checked_count(count),
                   {.progress = options.progress, .awaited = awaited});
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
    return detail::future_of(client_, std::move(job));
  }

  void stop() noexcept {
    if (client_ && client_->is_ours()) client_->end();
    client_.reset();
  }

  bool check_ = true;
  std::shared_ptr<detail::PoolClient> client_;
};

}  // namespace v0
}  // namespace forkful
