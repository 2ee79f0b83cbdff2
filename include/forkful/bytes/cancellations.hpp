// Jobs of a pool that shall not be begun any more, in shared memory. (Unstable; see pool.hpp.)
//
// The client asks for a job and then looks whether a worker has claimed it; a worker claims a task
// and then looks whether its job is asked for. So at least one of the two notices the other; all
// orders are sequentially consistent for that, and the client looks by TaskPool::is_claimed().
// Which of the two has its way is decided in one word, the job's place: a worker that finds the job
// asked for takes it, and the client, which has met no claim, cancels it. Whoever comes first has
// it, so the two never differ, and neither waits. src/pool/TASK.md has the interleavings.
//
// Nobody but the client takes a place or gives it back, and nobody reads it after the client's end.
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

  // --- client ---

  // False when another job has its place; nothing was asked for then.
  // Pairs with refuses(): the client looks at the workers' slots after this.
  [[nodiscard]] bool ask(std::uint64_t job) const { return take_place(job, State::asked); }
  // For a client that has looked, and has found no claim and no result. False: a worker has begun
  // the job meanwhile, and the place is free again. True: none does any more; remove() it when each
  // of its tasks was refused.
  [[nodiscard]] bool cancel(std::uint64_t job) const {
    std::uint32_t mark = mark_of(job, State::asked);
    if (place_of(job).compare_exchange_strong(mark, mark_of(job, State::cancelled),
                                              std::memory_order_seq_cst)) {
      return true;
    }
    remove(job);
    return false;
  }
  // Without a question: workers that have begun tasks of it go on, and the others are refused.
  // False when another job has its place.
  [[nodiscard]] bool cancel_rest(std::uint64_t job) const {
    return take_place(job, State::cancelled);
  }
  // Of a job that was asked for or cancelled.
  void remove(std::uint64_t job) const {
    place_of(job).store(0, std::memory_order_seq_cst);
    words().entered.fetch_sub(1, std::memory_order_seq_cst);
  }

  // --- worker ---

  // Whether the job is not to be run. Once this was false it is not cancelled, but for its rest.
  // Pairs with ask(): the worker has claimed its task before this.
  [[nodiscard]] bool refuses(std::uint64_t job) const {
    if (words().entered.load(std::memory_order_seq_cst) == 0) return false;
    std::uint32_t mark = place_of(job).load(std::memory_order_seq_cst);
    // From here on the client's cancel() fails; where that was first, it is seen.
    if (mark == mark_of(job, State::asked) &&
        place_of(job).compare_exchange_strong(mark, mark_of(job, State::begun),
                                              std::memory_order_seq_cst)) {
      return false;
    }
    return mark == mark_of(job, State::cancelled);
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

  enum class State : std::uint32_t { none, asked, begun, cancelled };

  explicit Cancellations(Cell cell) : cell_(std::move(cell)) {}
  [[nodiscard]] Words& words() const { return *reinterpret_cast<Words*>(cell_.memory().data()); }
  [[nodiscard]] std::atomic<std::uint32_t>& place_of(std::uint64_t job) const {
    return words().places[job % kPlaces];
  }
  // Of all jobs of a place, those have the same marks that 2^44 others lie between.
  static std::uint32_t mark_of(std::uint64_t job, State state) {
    return static_cast<std::uint32_t>(job / kPlaces) << 2 | static_cast<std::uint32_t>(state);
  }
  [[nodiscard]] bool take_place(std::uint64_t job, State as) const {
    std::uint32_t none = 0;
    if (!place_of(job).compare_exchange_strong(none, mark_of(job, as), std::memory_order_seq_cst)) {
      return false;
    }
    words().entered.fetch_add(1, std::memory_order_seq_cst);
    return true;
  }

  Cell cell_;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
