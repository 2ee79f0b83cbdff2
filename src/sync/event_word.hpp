// A flag that processes wait for.
//
// A waiter returns also when the flag was set and cleared again while it slept: each set() counts.
//
// Threads: any thread of any member. Death: whoever is killed in set() has set the flag or has not;
// waiters that were not woken find it at their next look.
#pragma once

#include "sync/bell.hpp"

namespace forkful::sync {

class EventWord {
 public:
  // Acquire: pairs with set() and clear().
  [[nodiscard]] bool is_set() const { return (state_.load(std::memory_order_acquire) & 1) != 0; }
  void set() {
    std::uint32_t now = state_.load(std::memory_order_relaxed);
    while ((now & 1) == 0) {
      // Pairs with the loads in is_set() and wait().
      if (state_.compare_exchange_weak(now, (now + 2) | 1, std::memory_order_seq_cst)) {
        bell_.notify_all();
        return;
      }
    }
    // Set already; but whoever set it may have been killed before it notified anybody.
    bell_.notify_all();
  }
  // Acquire: pairs with set(), so whoever clears the flag sees what was done before it was set.
  // Release: pairs with the acquire loads of the state, so whoever sees it cleared sees what came
  // before.
  void clear() { state_.fetch_and(~1u, std::memory_order_acq_rel); }
  Waited wait(Wait& wait, SpinBudget& budget) {
    // Compared as a whole: the count above bit 0 tells a flag that was set and cleared meanwhile.
    const std::uint32_t before = state_.load(std::memory_order_acquire);
    if ((before & 1) != 0) return Waited::done;
    // Sequentially consistent, as the exchange in set(), with which it pairs: see BELL.md, 1.
    return bell_.wait(wait, budget,
                      [&] { return state_.load(std::memory_order_seq_cst) != before; });
  }

 private:
  std::atomic<std::uint32_t> state_{0};  // bit 0: set; above it: how often
  Bell bell_;
};
static_assert(sizeof(EventWord) == 16);

}  // namespace forkful::sync
