// Results of chunks on their way, taken one by one: what imap() and an executor's map() walk. Each
// chunk is a job of its own, so that its results can be handed out, and its memory given back,
// before the others are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <forkful/detail/codec/codec.hpp>
#include <forkful/detail/executor/pool_client.hpp>
#include <forkful/outcome.hpp>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

enum class ImapOrder { items, completion };

// The results of one chunk.
template <class R>
class ChunkJob final : public Job {
 public:
  explicit ChunkJob(std::size_t items) : outcomes_(items) {}
  // Requires: it is done.
  [[nodiscard]] std::size_t size() const { return outcomes_.size(); }
  Outcome<R> take(std::size_t index) {
    auto& outcome = outcomes_[index];
    return outcome ? std::move(*outcome) : Outcome<R>(last_error_);
  }
  [[nodiscard]] bool failed() const noexcept override { return last_error_ != nullptr; }

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
    if (index < outcomes_.size() && !outcomes_[index]) outcomes_[index].emplace(std::move(error));
  }

  std::deque<std::optional<Outcome<R>>> outcomes_;
  std::exception_ptr last_error_;  // of an item without a result: what ended the whole
};

// Chunks that were sent, and the outcome that is looked at.
//
// Threads: one at a time. The destructor cancels what no worker has begun; it does not wait.
template <class R, ImapOrder kOrder>
class ChunkResults {
 public:
  explicit ChunkResults(std::shared_ptr<PoolClient> client) : client_(std::move(client)) {}
  ChunkResults(ChunkResults&&) noexcept = default;
  ChunkResults& operator=(ChunkResults&&) noexcept = default;
  ~ChunkResults() {
    // In a forked child the jobs are the parent's.
    if (!client_ || !client_->is_ours()) return;
    // One that a worker has begun runs to its end, and its results are dropped.
    for (const auto& job : ordered_) client_->drop(*job);
    for (const auto& [address, job] : unordered_) client_->drop(*job);
  }

  [[nodiscard]] PoolClient& client() const { return *client_; }
  [[nodiscard]] std::size_t chunks() const { return ordered_.size() + unordered_.size(); }
  // Adds a chunk that was sent.
  void add(std::shared_ptr<ChunkJob<R>> job) {
    if constexpr (kOrder == ImapOrder::completion) {
      client_->watch(*job, ended_);
      unordered_.emplace(job.get(), std::move(job));
    } else {
      ordered_.push_back(std::move(job));
    }
  }

  // Makes the next outcome current; none when there are no more chunks.
  void advance() {
    current_.reset();
    if (chunks() == 0) return;
    if (ordered_.empty()) await_any();
    ChunkJob<R>& job = *ordered_.front();
    (void)client_->wait(job, Deadline::never());
    current_.emplace(job.take(taken_));
    if (++taken_ < job.size()) return;
    taken_ = 0;
    ordered_.pop_front();
  }
  [[nodiscard]] std::optional<Outcome<R>>& current() { return current_; }

 private:
  // The chunk that ended first becomes the next in order.
  void await_any() {
    (void)client_->wait(*ended_, Deadline::never());
    const auto ended = unordered_.find(ended_->take());
    ordered_.push_back(std::move(ended->second));
    unordered_.erase(ended);
  }

  std::shared_ptr<PoolClient> client_;
  std::deque<std::shared_ptr<ChunkJob<R>>> ordered_;
  std::unordered_map<Job*, std::shared_ptr<ChunkJob<R>>> unordered_;
  std::shared_ptr<EndedJobs> ended_ = std::make_shared<EndedJobs>();
  std::size_t taken_ = 0;  // items of the first chunk that were handed out
  std::optional<Outcome<R>> current_;
};

// Walks a view whose advance() makes the next outcome current. * throws what the item's call threw,
// and ++ goes on to the next one; with kOutcomes, * is the Outcome.
template <class View, class R, bool kOutcomes>
class OutcomeIterator {
 public:
  using value_type = std::conditional_t<kOutcomes, Outcome<R>, R>;
  using difference_type = std::ptrdiff_t;

  explicit OutcomeIterator(View& view) : view_(&view) { view_->advance(); }
  OutcomeIterator(OutcomeIterator&&) noexcept = default;
  OutcomeIterator& operator=(OutcomeIterator&&) noexcept = default;
  OutcomeIterator& operator++() {
    view_->advance();
    return *this;
  }
  void operator++(int) { ++*this; }
  value_type& operator*() const {
    if constexpr (kOutcomes) {
      return *view_->current();
    } else {
      return view_->current()->value();
    }
  }
  bool operator==(std::default_sentinel_t) const { return !view_->current().has_value(); }

 private:
  View* view_;
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
