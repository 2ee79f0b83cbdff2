// The results of a lazy map, one by one.
//
//   for (const Thumbnail& small : pool.imap(shrink, paths)) …
//
//   auto results = pool.imap(shrink, paths);
//   for (auto& outcome : results.outcomes())   // goes on after a failure
//     if (outcome.ok()) use(outcome.value());
#pragma once

#include <cstddef>
#include <forkful/detail/executor/chunk_results.hpp>
#include <forkful/detail/executor/map_job.hpp>
#include <forkful/detail/executor/pool_client.hpp>
#include <forkful/outcome.hpp>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {

class Pool;

// Made by Pool::imap() and Pool::imap_unordered(). An input view: it can be walked once. Input is
// pulled by the thread that walks, and only some tasks ahead of it, so it may be endless; an lvalue
// input must outlive the view.
//
// Threads:   one at a time.
// Ownership: movable, not copyable. The destructor cancels what no worker has begun; it does not
//            wait.
// Death:     a worker killed in an item makes that item throw WorkerDied; the others are whole.
template <class F, std::ranges::view Base, detail::ImapOrder kOrder>
class ImapView : public std::ranges::view_interface<ImapView<F, Base, kOrder>> {
  using Item = detail::encoded_t<std::ranges::range_reference_t<Base>>;
  using Args = std::tuple<Item>;

 public:
  using Result = typename detail::Invocation<F, Args>::result;
  static_assert(!std::is_void_v<Result>,
                "forkful: imap() needs a function that returns something; use map() for others");

  // Walks the results; * throws what the item's call threw, and ++ goes on to the next one.
  auto begin() { return Iterator<false>(*this); }
  // Walks Outcome<Result>s.
  auto outcomes() & { return std::ranges::subrange(Iterator<true>(*this), end()); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  friend Pool;
  template <bool kOutcomes>
  using Iterator = detail::OutcomeIterator<ImapView, Result, kOutcomes>;
  template <class View, class R, bool kOutcomes>
  friend class detail::OutcomeIterator;
  using Job = detail::ChunkJob<Result>;

  ImapView(std::shared_ptr<detail::PoolClient> client, const F& function, Base base,
           std::size_t chunk, bool check)
      : base_(std::make_unique<Base>(std::move(base))),
        task_(std::make_unique<detail::ChunkWriter<F, Args>>(function, check)),
        chunk_(chunk != 0 ? chunk : 1),
        results_(std::move(client)) {}

  void advance() {
    submit_ahead();
    results_.advance();
  }
  [[nodiscard]] auto& current() { return results_.current(); }

  void submit_ahead() {
    // A guess: enough that no worker waits for the one that walks, and few enough to bound memory.
    constexpr std::size_t kTasksPerWorker = 32;
    if (!next_) next_.emplace(std::ranges::begin(*base_));
    while (results_.chunks() < kTasksPerWorker * results_.client().processes() &&
           *next_ != std::ranges::end(*base_)) {
      for (; task_->count() < chunk_ && *next_ != std::ranges::end(*base_); ++*next_) {
        task_->add([&](Writer& to) { detail::write_argument<Item>(to, **next_); });
      }
      auto job = std::make_shared<Job>(task_->count());
      detail::send_whole<F, Args>(results_.client(), job, *task_);
      results_.add(std::move(job));
    }
  }

  std::unique_ptr<Base> base_;  // where it is stays valid when the view moves
  std::optional<std::ranges::iterator_t<Base>> next_;
  std::unique_ptr<detail::ChunkWriter<F, Args>> task_;
  std::size_t chunk_;
  detail::ChunkResults<Result, kOrder> results_;
};

}  // namespace v0
}  // namespace forkful
