// The results of a map, and the writing of its tasks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <forkful/detail/pool_client.hpp>
#include <forkful/detail/task.hpp>

namespace forkful {
inline namespace v0 {
namespace detail {

// Of several exceptions the one of the first item counts, whichever came first.
template <class R>
class MapJob final : public Job {
 public:
  explicit MapJob(std::size_t items) {
    if constexpr (!std::is_void_v<R>) values_.resize(items);
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }
  [[nodiscard]] auto& values() { return values_; }

 private:
  struct None {};
  using Values = std::conditional_t<std::is_void_v<R>, None,
                                    std::vector<std::optional<std::conditional_t<std::is_void_v<R>, int, R>>>>;

  void set_value(std::uint32_t index, Bytes bytes) noexcept override {
    if constexpr (!std::is_void_v<R>) {
      try {
        Reader from(bytes);
        values_.at(index).emplace(read_value<R>(from));
      } catch (...) {
        set_error(index, std::current_exception());
      }
    }
  }
  void set_error(std::uint32_t index, std::exception_ptr error) noexcept override {
    if (error_ && index >= error_index_) return;
    error_ = std::move(error);
    error_index_ = index;
  }

  Values values_;
  std::exception_ptr error_;
  std::uint32_t error_index_ = 0;
};

// Writes the items of a call as tasks of `chunk` items each. Args is the tuple that F takes.
template <class F, class Args>
class TaskWriter {
 public:
  TaskWriter(PoolClient& client, Job& job, const F& function, std::size_t chunk, bool check)
      : client_(client), job_(job), chunk_(chunk) {
    head_.raw(place_of(&run_chunk<F, Args>));
    write_sized(head_, [&] { write_callable(head_, function, check); });
    start_chunk();
  }

  // `write_item` writes the item's Args.
  template <class WriteItem>
  void add(WriteItem&& write_item) {
    write_sized(payload_, [&] { write_item(payload_); });
    if (++count_ == chunk_) flush();
  }
  void flush() {
    if (count_ == 0) return;
    client_.submit(job_, first_, count_, payload_.view());
    first_ += count_;
    start_chunk();
  }

 private:
  void start_chunk() {
    count_ = 0;
    payload_.clear();
    payload_.bytes(head_.view().data(), head_.view().size());
  }

  PoolClient& client_;
  Job& job_;
  const std::size_t chunk_;
  Writer head_;
  Writer payload_;
  std::uint32_t first_ = 0;
  std::uint32_t count_ = 0;
};

// As Python does it: four chunks a worker, so that a slow one costs a quarter of a worker's time.
inline std::size_t automatic_chunk(std::size_t items, unsigned workers) {
  constexpr std::size_t kChunksPerWorker = 4;
  const std::size_t chunks = kChunksPerWorker * workers;
  return items == 0 ? 1 : (items + chunks - 1) / chunks;
}

inline std::uint32_t checked_count(std::size_t items) {
  if (items >= std::numeric_limits<std::uint32_t>::max()) {
    throw std::length_error("a map takes at most 4,294,967,294 items");
  }
  return static_cast<std::uint32_t>(items);
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
