// Futures in the order in which they are done.
//
//   for (Future<int>& done : forkful::as_completed(futures)) use(done.get());
#pragma once

#include <chrono>
#include <cstddef>
#include <forkful/detail/executor/awaited.hpp>
#include <forkful/errors.hpp>
#include <forkful/future.hpp>
#include <iterator>
#include <ranges>
#include <type_traits>
#include <unordered_map>

namespace forkful {
inline namespace v0 {

namespace detail {
template <class T>
inline constexpr bool is_future = false;
template <class T>
inline constexpr bool is_future<Future<T>> = true;

template <class Range>
concept FutureRange = std::ranges::forward_range<Range&> &&
                      std::is_lvalue_reference_v<std::ranges::range_reference_t<Range&>> &&
                      is_future<std::ranges::range_value_t<Range&>>;
}  // namespace detail

// Made by as_completed(). An input view: it can be walked once.
template <class FutureType>
class CompletedView : public std::ranges::view_interface<CompletedView<FutureType>> {
 public:
  class Iterator {
   public:
    using value_type = FutureType;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(CompletedView& view) : view_(&view) { view_->advance(); }
    Iterator& operator++() {
      view_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    FutureType& operator*() const { return *view_->current_; }
    bool operator==(std::default_sentinel_t) const { return view_->current_ == nullptr; }

   private:
    CompletedView* view_;
  };

  template <class Range>
  CompletedView(Range& futures, Deadline deadline) : deadline_(deadline) {
    for (auto& future : futures) {
      detail::Job* const job = detail::FutureAccess::job(future).get();
      pending_.emplace(job, &future);
      awaited_.add(detail::FutureAccess::client(future), *job);
    }
  }
  CompletedView(CompletedView&&) noexcept = default;
  CompletedView& operator=(CompletedView&&) noexcept = default;

  Iterator begin() { return Iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  // Waits for the next future, in which this thread collects results for everybody.
  void advance() {
    current_ = nullptr;
    if (pending_.empty()) return;
    const auto done = pending_.find(awaited_.next(deadline_));
    if (done == pending_.end()) {
      throw TimeoutError(std::to_string(pending_.size()) + " of the futures are not done in time");
    }
    current_ = done->second;
    pending_.erase(done);
  }

  Deadline deadline_;
  detail::Awaited awaited_;
  std::unordered_map<detail::Job*, FutureType*> pending_;
  FutureType* current_ = nullptr;
};

// Walks the futures of a range, which must outlive the walk, as they are done; they may be of
// several pools. Throws: Error, when one has no result to come.
template <detail::FutureRange Range>
[[nodiscard]] auto as_completed(Range& futures) {
  return CompletedView<std::ranges::range_value_t<Range>>(futures, Deadline::never());
}
// Likewise; a step of the walk throws TimeoutError `timeout` from now.
template <detail::FutureRange Range>
[[nodiscard]] auto as_completed(Range& futures, Duration timeout) {
  return CompletedView<std::ranges::range_value_t<Range>>(futures, Deadline::in(timeout));
}

}  // namespace v0
}  // namespace forkful
