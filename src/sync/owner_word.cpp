// The slow paths of the owner word: waiting, asking whether the owner lives, and taking over from a
// dead one. BELL.md has the protocol.
//
// Waiters of any member come here. Whoever is killed here does not own the lock yet, and may leave
// the bit kSleepers set, which costs the next unlock a wake-up in vain.
#include "sync/owner_word.hpp"

namespace forkful::sync {

namespace {

// Long enough for the short sections it guards, short beside a wake-up (25 to 55 us).
constexpr std::int64_t kSpinNs = 3'000;
constexpr std::uint32_t kSilence = 2;  // pauses: a shorter section ends meanwhile

}  // namespace

bool OwnerWord::take_over(MemberId owner, MemberId me) {
  std::uint32_t was = word_.load(std::memory_order_relaxed);
  while ((was & ~kSleepers) == owner.bits) {
    // Acquire pairs with nothing of the dead one's, which has released nothing: that it has ended
    // the kernel has told, and that comes after all it wrote.
    if (word_.compare_exchange_weak(was, me.bits | kSleepers, std::memory_order_acquire))
      return true;
  }
  return false;
}

// Relaxed: only the name changes. Whoever gets the lock later synchronizes with its unlock, or
// takes it over.
void OwnerWord::rename_owner(MemberId from, MemberId to) {
  std::uint32_t was = word_.load(std::memory_order_relaxed);
  while ((was & ~kSleepers) == from.bits) {
    if (word_.compare_exchange_weak(was, to.bits | (was & kSleepers), std::memory_order_relaxed)) {
      return;
    }
  }
}

Locked OwnerWord::lock_slowly(MemberId me, Wait& wait, Death death) {
  Slices slices(wait, Slices::kOftenNs);
  Blocking blocking(wait);
  if (!wait.deadline.is_poll()) {
    blocking.begin();
    const auto take = [&] { return word_.load(std::memory_order_relaxed) == 0 && try_lock(me); };
    if (liveness().room_to_spin() &&
        (spin_briefly(kSilence, take) || spin_until(kernel::monotonic_ns() + kSpinNs, take))) {
      return Locked::yes;
    }
  }
  MemberId known_alive;  // probed in this slice already
  bool woken = false;
  for (;;) {
    std::uint32_t now = word_.load(std::memory_order_relaxed);
    // Somebody may sleep at a word that names no owner, where another member wrote over it.
    if ((now & ~kSleepers) == 0) {
      // Whoever slept cannot know whether others sleep too, so it says that they do. Acquire: pairs
      // with the release in unlock().
      if (word_.compare_exchange_weak(now, me.bits | kSleepers, std::memory_order_acquire)) {
        return Locked::yes;
      }
      continue;
    }
    const MemberId owner{now & ~kSleepers};
    if (death != Death::ignore && owner != known_alive) {
      const End end = liveness().end_of(owner);
      // An internal mutex is never left locked in order, so there any end is a death.
      if (end == End::died || (end == End::left && death == Death::take_over)) {
        if (death == Death::report) {
          // Looked at once more: while end_of() was asked, another waiter may have taken the lock
          // over or a reaper renamed its owner. The order does not matter, since the caller does
          // not get the lock.
          if (word_.load(std::memory_order_acquire) == now) return Locked::owner_died;
        } else if (take_over(owner, me)) {
          return Locked::owner_died;
        }
        continue;
      }
      known_alive = owner;
    }
    if (!woken && slices.expired()) return Locked::timed_out;
    // Relaxed: the kernel compares the word before it puts this thread to sleep, and unlock()
    // exchanges the same word, so an unlock in between is seen.
    if ((now & kSleepers) == 0 &&
        !word_.compare_exchange_weak(now, now | kSleepers, std::memory_order_relaxed)) {
      continue;
    }
    // Whoever was woken and leaves without the lock says first that others may sleep: the unlock
    // that woke it has cleared that, and whoever was faster knows nothing of them.
    if (woken && slices.expired()) return Locked::timed_out;
    const auto how = slices.sleep(word_, now | kSleepers);
    woken = how == kernel::FutexWake::woken;
    // A slice is over, so the owner is asked again.
    if (how == kernel::FutexWake::timed_out) known_alive = {};
    if (how == kernel::FutexWake::timed_out || how == kernel::FutexWake::signalled) {
      if (wait.interrupted(how == kernel::FutexWake::signalled)) return Locked::interrupted;
    }
  }
}

}  // namespace forkful::sync
