// A lock that knows its owner: one 32-bit futex word, for our own mutexes and for users' locks.
//
//   bit 31      somebody sleeps
//   bits 16-30  the owner's entry      } 0: free
//   bits 0-15   the entry's generation }
//
// Threads: any thread of any member. Death: a waiter probes the owner between slices of its sleep.
// BELL.md has owners that are stopped, and what a waiter's death leaves.
#pragma once

#include <atomic>
#include <cstdint>

#include "sync/pace.hpp"

namespace forkful::sync {

enum class [[nodiscard]] Locked {
  yes,
  owner_died,  // taken over from a dead owner, or (with Death::report) not taken at all
  timed_out,
  interrupted,
};

enum class Death {
  take_over,  // the caller gets the lock and must put right what it guards
  report,     // the caller is told and does not get the lock
  ignore,     // wait for ever, as the standard library does
};

class OwnerWord {
 public:
  [[nodiscard]] bool try_lock(MemberId me) {
    std::uint32_t free = 0;
    // Acquire: pairs with the release in unlock() and abandon().
    return word_.compare_exchange_strong(free, me.bits, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  Locked lock(MemberId me, Wait& wait, Death death) {
    return try_lock(me) ? Locked::yes : lock_slowly(me, wait, death);
  }
  // Returns false when it was not locked. Anyone may unlock: the standard Lock allows it.
  bool unlock() {
    // Release: pairs with the acquire of the next owner. Sequentially consistent: pairs with
    // look_past(), for whoever notifies a bell after this. An exchange costs the same either way.
    const std::uint32_t was = word_.exchange(0, std::memory_order_seq_cst);
    if (__builtin_expect((was & kSleepers) != 0, 0)) kernel::futex_wake(word_, 1);
    return was != 0;
  }
  // Acquire: pairs with the exchange of whoever unlocked last, for a caller that sees the lock
  // free.
  [[nodiscard]] MemberId owner() const {
    return {word_.load(std::memory_order_acquire) & ~kSleepers};
  }
  // For a waiter that does not take the lock: after this it sees what was done under the lock
  // before any unlock() that came earlier in the order of sequentially consistent operations. Pairs
  // with the exchange in unlock(): all that follows it in the word are read-modify-writes, so
  // whichever is read carries on what that has released.
  void look_past() const { (void)word_.load(std::memory_order_seq_cst); }
  // Leaves the lock as if its owner had died, for a caller that holds it and cannot put right what
  // it guards: the next one tries.
  void abandon() {
    // Release: pairs with the acquire of whoever takes it over. Sequentially consistent: as in
    // unlock().
    const std::uint32_t was = word_.exchange(kNobody.bits, std::memory_order_seq_cst);
    if ((was & kSleepers) != 0) kernel::futex_wake(word_, 1);
  }
  // Takes the lock from the dead `owner`; false when somebody else was faster.
  [[nodiscard]] bool take_over(MemberId owner, MemberId me);
  // Has the lock, where `from` owns it, name `to` instead.
  void rename_owner(MemberId from, MemberId to);

 private:
  static constexpr std::uint32_t kSleepers = 1u << 31;
  static constexpr MemberId kNobody = MemberId::of(0, 1);  // of the entry that no member gets
  Locked lock_slowly(MemberId me, Wait& wait, Death death);

  std::atomic<std::uint32_t> word_{0};
};
static_assert(sizeof(OwnerWord) == 4);

}  // namespace forkful::sync
