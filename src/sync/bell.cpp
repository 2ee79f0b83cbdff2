// The parts of the bell that are not on the path of each message: waking sleepers, and the
// arithmetic of the times that spinners name. BELL.md has the protocol.
#include "sync/bell.hpp"

namespace forkful::sync {

// Clears the bit, counts the notification and wakes up to `count` sleepers. Nobody sleeping:
// nothing is done. The loop ends when another notifier has cleared the bit, since that one wakes.
// Pairs with the kernel's look at the word in a sleeper's futex_wait(): the count has changed.
void BellView::wake(int count) {
  std::uint32_t seen = word_.load(std::memory_order_seq_cst);
  while ((seen & kSleepers) != 0) {
    if (word_.compare_exchange_weak(seen, (seen & ~kSleepers) + kOneNotification,
                                    std::memory_order_seq_cst)) {
      kernel::futex_wake(word_, count);
      return;
    }
  }
}

// Pairs, like wake(), with the kernel's look at the word.
void BellView::wake_all() {
  word_.fetch_add(kOneNotification, std::memory_order_seq_cst);
  kernel::futex_wake(word_, kEverybody);
}

bool BellView::in_time(std::uint32_t spinner) {
  // A spinner names a time at most kMostNs ahead. Two ticks more, because both times were rounded
  // and bit 0 of the word is not part of the time.
  constexpr std::uint32_t kMost = SpinBudget::kMostNs / kTickNs + 2;
  const std::uint32_t left = spinner - tick_of(kernel::monotonic_ns());
  // A word too far ahead is one of long ago.
  return left != 0 && left <= kMost;
}

Duty BellView::duty(bool woken) const {
  // From the longest spin ahead to a sentry's look ago: so long after a spin the sentry may still
  // be needed, and after that none is.
  constexpr std::int64_t kAhead = SpinBudget::kMostNs / kTickNs + 2;
  constexpr std::int64_t kLately = Rota::kSentryNs / kTickNs + 2 * kAhead;
  // Relaxed: a hint. A spinner that is missed here appoints a sentry itself.
  const std::uint32_t spinner = spinner_.load(std::memory_order_relaxed);
  const std::uint32_t since =
      tick_of(kernel::monotonic_ns()) + static_cast<std::uint32_t>(kAhead) - spinner;
  if (spinner == 0 || since > kLately) return Duty::none;
  return woken ? Duty::sentry : Duty::sentry_if_none;
}

}  // namespace forkful::sync
