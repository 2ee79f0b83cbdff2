// The results of a map, and the writing of tasks: the typed part of what Pool::map(), apply() and
// imap() do in the client. task.hpp has the layout of a task's payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <forkful/detail/executor/pool_client.hpp>
#include <forkful/detail/executor/task.hpp>
#include <forkful/detail/executor/value_job.hpp>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace detail {

// What map() gives for results of R; vector<bool> would be no container.
template <class R>
struct MapResults {
  using type = std::vector<std::conditional_t<std::is_same_v<R, bool>, char, R>>;
};
template <>
struct MapResults<void> {
  using type = void;
};
template <class R>
using map_results_t = typename MapResults<R>::type;

// What map() waits for: all values, in the order of the items. Of several exceptions the one of the
// first item counts, whichever came first.
template <class R>
class MapJob final : public FutureJob<map_results_t<R>> {
 public:
  explicit MapJob(std::size_t items) {
    if constexpr (!std::is_void_v<R>) values_.resize(items);
  }
  map_results_t<R> take() override {
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<R>) {
      map_results_t<R> results;
      results.reserve(values_.size());
      for (auto& value : values_) {
        if (!value) throw Error("an item of this call has no result");
        results.push_back(std::move(*value));
      }
      return results;
    }
  }
  [[nodiscard]] bool failed() const noexcept override { return error_ != nullptr; }

 private:
  struct None {};
  template <class T>
  struct ValuesOf {
    using type = std::vector<std::optional<T>>;
  };
  template <class T>
    requires std::is_void_v<T>
  struct ValuesOf<T> {
    using type = None;
  };
  using Values = typename ValuesOf<R>::type;

  // What cannot be decoded is the item's error: here is nobody to throw to.
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

// Writes tasks: chunks of items for one function. The function and its captures are encoded once,
// and copied to the front of each task. Args is the tuple that F takes.
template <class F, class Args>
class ChunkWriter {
 public:
  ChunkWriter(const F& function, bool check) {
    head_.raw(place_of(&run_chunk<F, Args>));
    write_sized(head_, [&] { write_callable(head_, function, check); });
    clear();
  }

  // `write_item` writes the item's Args.
  template <class WriteItem>
  void add(WriteItem&& write_item) {
    write_sized(payload_, [&] { write_item(payload_); });
    ++count_;
  }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  // Sends what was added as the job's items from `first` on. Returns the item after them.
  std::uint32_t submit(PoolClient& client, Job& job, std::uint32_t first) {
    if (count_ != 0) client.submit(job, first, count_, payload_.view(), payload_.shares());
    const std::uint32_t next = first + count_;
    clear();
    return next;
  }

 private:
  void clear() {
    count_ = 0;
    payload_.clear();
    payload_.bytes(head_.view().data(), head_.view().size());
    // What the captures name is held by each task, since each is received on its own.
    payload_.share(head_.shares());
  }

  Writer head_;
  Writer payload_;
  std::uint32_t count_ = 0;
};

// Announces a job and sends it as one task.
template <class F, class Args>
void send_whole(PoolClient& client, const std::shared_ptr<Job>& job, ChunkWriter<F, Args>& task,
                Attention attention = {}) {
  client.begin(job, task.count(), std::move(attention));
  try {
    task.submit(client, *job, 0);
  } catch (...) {
    client.forget(*job);
    throw;
  }
}

// One call of f(args...), sent. What cannot be encoded throws before anything was announced.
template <class F, class... A>
auto send_call(PoolClient& client, bool check, Attention attention, const F& f, const A&... args) {
  using Args = std::tuple<encoded_t<A>...>;
  auto job = std::make_shared<CallJob<typename Invocation<F, Args>::result>>();
  ChunkWriter<F, Args> task(f, check);
  task.add([&](Writer& to) { (write_argument<encoded_t<A>>(to, args), ...); });
  send_whole<F, Args>(client, job, task, std::move(attention));
  return job;
}

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
