// Waiting for a permit, and giving one back. Each is one exchange of the value, so a member that is
// killed has done it or has not; a sleeper that nobody has woken finds the permit at its next look.
#include "sync/semaphore_word.hpp"

namespace forkful::sync {

Waited SemaphoreWord::acquire(Wait& wait, SpinBudget& budget) {
  if (try_acquire()) return Waited::done;
  for (;;) {
    // Sequentially consistent, as the exchange in release(), with which it pairs: see BELL.md, 1.
    const Waited how =
        bell_.wait(wait, budget, [&] { return value_.load(std::memory_order_seq_cst) > 0; });
    // An interrupted wait takes nothing, since its caller answers with the interruption alone.
    if (how == Waited::interrupted) {
      if (value_.load(std::memory_order_relaxed) > 0) bell_.notify();
      return how;
    }
    if (how == Waited::timed_out) return try_acquire() ? Waited::done : how;
    if (try_acquire()) {
      if (value_.load(std::memory_order_relaxed) > 0) bell_.notify();
      return Waited::done;
    }
  }
}

bool SemaphoreWord::release(std::uint32_t most) {
  std::uint32_t now = value_.load(std::memory_order_relaxed);
  do {
    if (now >= most) return false;
    // Pairs with try_acquire(), and with the look of a sleeper in acquire().
  } while (!value_.compare_exchange_weak(now, now + 1, std::memory_order_seq_cst));
  bell_.notify();
  return true;
}

}  // namespace forkful::sync
