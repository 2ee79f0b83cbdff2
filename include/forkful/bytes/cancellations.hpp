// Jobs of a pool that shall not be begun any more, in shared memory. (Unstable; see pool.hpp.)
//
// The client enters a job and then looks whether a worker has claimed it; a worker claims a task
// and then looks whether its job is entered. So at least one of the two notices the other; all
// orders are sequentially consistent for that, and the client looks by TaskPool::is_claimed().
// Nobody but the client writes here, and nobody reads it after the client's end.
#pragma once

#include <atomic>
#include <cstdint>
#include <forkful/bytes/cell.hpp>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace bytes {

class Cancellations {
 public:
  static Cancellations create() { return Cancellations(Cell::create(sizeof(Words))); }
  static Cancellations adopt(Shared::Id id) { return Cancellations(Cell::adopt(id)); }
  [[nodiscard]] const Shared& shared() const { return cell_; }

  // False when another job has its place; nothing was entered then.
  // Pairs with contain(): the client looks at the workers' slots after this.
  [[nodiscard]] bool enter(std::uint64_t job) const {
    std::uint32_t none = 0;
    if (!place_of(job).compare_exchange_strong(none, mark_of(job), std::memory_order_seq_cst)) {
      return false;
    }
    words().entered.fetch_add(1, std::memory_order_seq_cst);
    return true;
  }
  // By the client as well, so nothing runs beside it but looks.
  void remove(std::uint64_t job) const {
    std::uint32_t mark = mark_of(job);
    if (!place_of(job).compare_exchange_strong(mark, 0, std::memory_order_seq_cst)) return;
    words().entered.fetch_sub(1, std::memory_order_seq_cst);
  }
  // Pairs with enter(): the worker has claimed its task before this.
  [[nodiscard]] bool contain(std::uint64_t job) const {
    return words().entered.load(std::memory_order_seq_cst) != 0 &&
           place_of(job).load(std::memory_order_seq_cst) == mark_of(job);
  }

 private:
  // Jobs are numbered one after the other, so as many may be cancelled at a time before two meet at
  // a place. A guess: programs cancel some ten thousand calls in a loop. Pages that nobody has
  // entered a job in take no memory.
  static constexpr std::uint32_t kPlaces = 1 << 14;

  struct Words {
    // How many jobs are entered, so that a worker looks at one word only where nobody cancels.
    std::atomic<std::uint32_t> entered;
    std::uint32_t reserved[15];
    std::atomic<std::uint32_t> places[kPlaces];  // 0: nobody's
  };
  static_assert(sizeof(Words) == 64 + 4 * kPlaces);

  explicit Cancellations(Cell cell) : cell_(std::move(cell)) {}
  [[nodiscard]] Words& words() const { return *reinterpret_cast<Words*>(cell_.memory().data()); }
  [[nodiscard]] std::atomic<std::uint32_t>& place_of(std::uint64_t job) const {
    return words().places[job % kPlaces];
  }
  // Of all jobs of a place, those have the same mark that 2^45 others lie between.
  static std::uint32_t mark_of(std::uint64_t job) {
    return static_cast<std::uint32_t>(job / kPlaces) | 1u << 31;
  }

  Cell cell_;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
