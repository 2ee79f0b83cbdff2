// The results of a lazy map, one by one.
//
//   for (const Thumbnail& small : pool.imap(shrink, paths)) …
//
//   for (auto& outcome : pool.imap(shrink, paths).outcomes())   // goes on behind a failure
//     if (outcome.ok()) use(outcome.value());
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <forkful/detail/map_job.hpp>
#include <forkful/detail/pool_client.hpp>
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

// A value, or the exception in its place.
template <class R>
class Outcome {
 public:
  explicit Outcome(R value) : value_(std::move(value)) {}
  explicit Outcome(std::exception_ptr error) : error_(std::move(error)) {}

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  // Throws: the exception, when there is one.
  R& value() {
    if (error_) std::rethrow_exception(error_);
    return *value_;
  }
  [[nodiscard]] std::exception_ptr error() const { return error_; }

 private:
  std::optional<R> value_;
  std::exception_ptr error_;
};

namespace detail {

// The results of one chunk.
template <class R>
class ChunkJob final : public Job {
 public:
  explicit ChunkJob(std::size_t items) : outcomes_(items) {}
  [[nodiscard]] auto& outcomes() { return outcomes_; }
  // Of an item without a result: what ended the whole.
  [[nodiscard]] std::exception_ptr last_error() const { return last_error_; }

 private:
  void set_value(std::uint32_t index, Bytes bytes) noexcept override {
    try {
      Reader from(bytes);
      outcomes_.at(index).emplace(read_value<R>(from));
    } catch (...) {
      set_error(index, std::current_exception());
    }
  }
  void set_error(std::uint32_t index, std::exception_ptr error) noexcept override {
    last_error_ = error;
    if (index < outcomes_.size()) outcomes_[index].emplace(std::move(error));
  }

  std::deque<std::optional<Outcome<R>>> outcomes_;
  std::exception_ptr last_error_;
};

}  // namespace detail

// Made by Pool::imap(). An input view: it can be walked once. Input is pulled by the thread that
// walks, and only some tasks ahead of it, so it may be endless; an lvalue input must outlive the
// view.
//
// Threads:   one at a time.
// Ownership: movable, not copyable. The destructor cancels what no worker has begun; it does not
//            wait.
// Death:     a worker killed in an item makes that item throw WorkerDied; the others are whole.
template <class F, std::ranges::view Base>
class ImapView : public std::ranges::view_interface<ImapView<F, Base>> {
  using Item = detail::encoded_t<std::ranges::range_reference_t<Base>>;
  using Args = std::tuple<Item>;

 public:
  using Result = typename detail::Invocation<F, Args>::result;
  static_assert(!std::is_void_v<Result>,
                "forkful: imap() needs a function that returns something; use map() for others");

  ImapView(ImapView&&) noexcept = default;
  ImapView& operator=(ImapView&&) noexcept = default;
  ~ImapView() {
    if (!client_ || !client_->is_ours()) return;
    for (const auto& job : jobs_) {
      if (!client_->cancel(*job)) client_->forget(*job);
    }
  }

  // Walks the results; * throws what the item's call threw, and ++ goes on to the next one.
  auto begin() { return Iterator<false>(*this); }
  // Walks Outcome<Result>s.
  auto outcomes() & { return std::ranges::subrange(Iterator<true>(*this), end()); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  friend Pool;
  using Job = detail::ChunkJob<Result>;

  template <bool kOutcomes>
  class Iterator {
   public:
    using value_type = std::conditional_t<kOutcomes, Outcome<Result>, Result>;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(ImapView& view) : view_(&view) { view_->advance(); }
    Iterator(Iterator&&) noexcept = default;
    Iterator& operator=(Iterator&&) noexcept = default;
    Iterator& operator++() {
      view_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    value_type& operator*() const {
      if constexpr (kOutcomes) {
        return *view_->current_;
      } else {
        return view_->current_->value();
      }
    }
    bool operator==(std::default_sentinel_t) const { return !view_->current_.has_value(); }

   private:
    ImapView* view_;
  };

  ImapView(std::shared_ptr<detail::PoolClient> client, const F& function, Base base,
           std::size_t chunk, bool check)
      : client_(std::move(client)),
        base_(std::make_unique<Base>(std::move(base))),
        task_(std::make_unique<detail::ChunkWriter<F, Args>>(function, check)),
        chunk_(chunk != 0 ? chunk : 1) {}

  // Makes the next outcome current; none at the end.
  void advance() {
    submit_ahead();
    current_.reset();
    if (jobs_.empty()) return;
    Job& job = *jobs_.front();
    (void)client_->wait(job, Deadline::never());
    auto& outcome = job.outcomes()[taken_];
    current_ = outcome ? std::move(outcome) : Outcome<Result>(job.last_error());
    if (++taken_ < job.outcomes().size()) return;
    taken_ = 0;
    jobs_.pop_front();
  }

  void submit_ahead() {
    constexpr std::size_t kTasksPerWorker = 32;
    if (!next_) next_.emplace(std::ranges::begin(*base_));
    while (jobs_.size() < kTasksPerWorker * client_->processes() &&
           *next_ != std::ranges::end(*base_)) {
      for (; task_->count() < chunk_ && *next_ != std::ranges::end(*base_); ++*next_) {
        task_->add([&](Writer& to) { detail::write_argument<Item>(to, **next_); });
      }
      auto job = std::make_shared<Job>(task_->count());
      detail::send_whole<F, Args>(*client_, job, *task_);
      jobs_.push_back(std::move(job));
    }
  }

  std::shared_ptr<detail::PoolClient> client_;
  std::unique_ptr<Base> base_;  // where it is stays valid when the view moves
  std::optional<std::ranges::iterator_t<Base>> next_;
  std::unique_ptr<detail::ChunkWriter<F, Args>> task_;
  std::size_t chunk_;
  std::deque<std::shared_ptr<Job>> jobs_;
  std::size_t taken_ = 0;  // items of the first job that were handed out
  std::optional<Outcome<Result>> current_;
};

}  // namespace v0
}  // namespace forkful
