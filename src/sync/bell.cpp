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

void BellView::free_dead_spinner() {
  std::uint32_t spinner = spinner_.load(std::memory_order_relaxed);
  if (spinner != 0 && family().end_of({spinner}) != End::alive) {
    spinner_.compare_exchange_strong(spinner, 0, std::memory_order_relaxed);
  }
}

}  // namespace forkful::sync
