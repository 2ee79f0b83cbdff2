#include "sync/bell.hpp"

namespace forkful::sync {

void BellView::wake(int count) {
  std::uint32_t seen = word_.load(std::memory_order_seq_cst);
  while ((seen & kSleepers) != 0) {
    if (word_.compare_exchange_weak(seen, (seen & ~kSleepers) + 2, std::memory_order_seq_cst)) {
      kernel::futex_wake(word_, count);
      return;
    }
  }
}

bool BellView::still_spins(std::uint32_t spinner) {
  constexpr std::uint32_t kMost = SpinBudget::kMostNs / kTickNs + 2;
  const std::uint32_t left = spinner - tick_of(kernel::monotonic_ns());
  // A word too far ahead is one of long ago.
  if (left != 0 && left <= kMost) return true;
  spinner_.compare_exchange_strong(spinner, 0, std::memory_order_relaxed);
  return false;
}

}  // namespace forkful::sync
