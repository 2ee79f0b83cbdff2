// Jobs that shall not be begun any more, in shared memory.
//
// The client enters a job and then looks whether a worker has claimed it; a worker claims a task
// and then looks whether its job is entered. So at least one of the two notices the other; all
// orders are sequentially consistent for that, and the client looks by TaskPool::is_claimed().
// Nobody but the client writes here, and nobody reads it after the client's end.
#pragma once

#include <atomic>
#include <cstdint>
#include <forkful/bytes/cell.hpp>

namespace forkful::pool {

class Cancellations {
 public:
  static Cancellations create() { return Cancellations(bytes::Cell::create(sizeof(Words))); }
  static Cancellations adopt(bytes::Shared::Id id) { return Cancellations(bytes::Cell::adopt(id)); }
  [[nodiscard]] const bytes::Shared& shared() const { return cell_; }

  // False when there is no room for another; nothing was entered then.
  // Pairs with contain(): the client looks at the workers' slots after this.
  [[nodiscard]] bool enter(std::uint64_t job) const {
    for (auto& place : words().jobs) {
      std::uint64_t none = 0;
      if (!place.compare_exchange_strong(none, job, std::memory_order_seq_cst)) continue;
      words().entered.fetch_add(1, std::memory_order_seq_cst);
      return true;
    }
    return false;
  }
  // By the client as well, so nothing runs beside it but looks.
  void remove(std::uint64_t job) const {
    if (words().entered.load(std::memory_order_seq_cst) == 0) return;
    for (auto& place : words().jobs) {
      std::uint64_t entered = job;
      if (!place.compare_exchange_strong(entered, 0, std::memory_order_seq_cst)) continue;
      words().entered.fetch_sub(1, std::memory_order_seq_cst);
    }
  }
  // Pairs with enter(): the worker has claimed its task before this.
  [[nodiscard]] bool contain(std::uint64_t job) const {
    if (words().entered.load(std::memory_order_seq_cst) == 0) return false;
    for (const auto& place : words().jobs) {
      if (place.load(std::memory_order_seq_cst) == job) return true;
    }
    return false;
  }

 private:
  struct Words {
    // How many jobs are entered, so that a worker looks at one word only where nobody cancels.
    std::atomic<std::uint32_t> entered;
    std::uint32_t reserved;
    // As many as make 512 bytes with the words before: a guess. A cancellation that finds no room
    // fails.
    std::atomic<std::uint64_t> jobs[63];
  };
  static_assert(sizeof(Words) == 512);

  explicit Cancellations(bytes::Cell cell) : cell_(std::move(cell)) {}
  [[nodiscard]] Words& words() const { return *reinterpret_cast<Words*>(cell_.memory().data()); }

  bytes::Cell cell_;
};

}  // namespace forkful::pool
