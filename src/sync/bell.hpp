// A place where processes wait for something to become ready, and the bell that wakes them.
//
// At most one waiter spins; the others sleep. Who makes something ready calls ring(), which costs
// one load while nobody sleeps. A ring wakes one sleeper, and a waiter that leaves more behind
// than it took rings for the next, so that one system call starts as many as there is work for.
//
//   word bit 0      somebody may sleep
//   word bits 1-31  counts the rings
//
// Death: a ringer or a spinner may die at any line; sleepers look for themselves at each slice.
#pragma once

#include <limits>

#include "sync/pace.hpp"

namespace forkful::sync {

class BellView {
 public:
  BellView(std::atomic<std::uint32_t>& word, std::atomic<std::uint32_t>& spinner)
      : word_(word), spinner_(spinner) {}

  // Waits until `ready()`, which must be cheap and free of side effects.
  template <class Ready>
  Waited wait(Wait& wait, SpinBudget& budget, Ready&& ready) {
    Blocking blocking(wait);
    if (ready()) return Waited::done;
    Slices slices(wait);
    if (slices.expired()) return Waited::timed_out;
    blocking.begin();
    if (try_spin(budget, ready)) return Waited::done;
    for (;;) {
      std::uint32_t seen = word_.load(std::memory_order_seq_cst);
      if ((seen & kSleepers) == 0 &&
          !word_.compare_exchange_weak(seen, seen | kSleepers, std::memory_order_seq_cst)) {
        continue;
      }
      // Pairs with ring(): either this look sees what was made ready, or that ring sees the bit.
      if (ready()) return Waited::done;
      if (slices.expired()) return Waited::timed_out;
      const auto how = slices.sleep(word_, seen | kSleepers);
      switch (how) {
        case kernel::FutexWake::woken:
          // The ring cleared the bit, and others may sleep still.
          word_.fetch_or(kSleepers, std::memory_order_seq_cst);
          break;
        case kernel::FutexWake::changed:
          break;
        default:
          free_dead_spinner();
          if (ready()) return Waited::done;
          if (wait.interrupted(how == kernel::FutexWake::signalled)) return Waited::interrupted;
      }
    }
  }

  // Call after making one thing ready, behind a read-modify-write (an unlock is one).
  void ring() {
    if ((word_.load(std::memory_order_seq_cst) & kSleepers) == 0) return;
    // Race: a spinner that has just given up looks once more after it has set the sleepers' bit.
    if (spinner_.load(std::memory_order_seq_cst) != 0) return;
    wake(1);
  }
  // Call after making something ready for all.
  void ring_all() { wake(std::numeric_limits<int>::max()); }

 private:
  static constexpr std::uint32_t kSleepers = 1;
  static constexpr std::int64_t kLongTurnNs = 500'000;

  template <class Ready>
  bool try_spin(SpinBudget& budget, Ready& ready) {
    if (!family().room_to_spin()) return try_yield(budget, ready);
    const std::int64_t spin_ns = budget.next_ns();
    std::uint32_t nobody = 0;
    if (spin_ns == 0 || !spinner_.compare_exchange_strong(nobody, self().bits)) return false;
    const bool paid = spin(spin_ns, ready);
    // Who goes to sleep next must be seen to have stopped; who found what it waited for takes it
    // under a lock, which is a fence as well, and looks for more behind that.
    spinner_.store(0, paid ? std::memory_order_release : std::memory_order_seq_cst);
    budget.learn(spin_ns, paid);
    return paid;
  }
  // Without a CPU of its own the waiter lets another member have this one, once: a sleeper would be
  // woken by the first message, on the sender's CPU in the sender's place, for each few messages.
  template <class Ready>
  bool try_yield(SpinBudget& budget, Ready& ready) {
    const std::int64_t spin_ns = budget.next_ns();
    if (spin_ns == 0) return false;
    const std::int64_t begin_ns = kernel::monotonic_ns();
    kernel::yield();
    const bool paid = ready();
    // Somebody else's long turn is not what was waited for.
    budget.learn(spin_ns, paid && kernel::monotonic_ns() - begin_ns < kLongTurnNs);
    return paid;
  }
  void wake(int count);
  void free_dead_spinner();

  std::atomic<std::uint32_t>& word_;
  std::atomic<std::uint32_t>& spinner_;
};

// A bell in one piece. Where each message counts, the words stand apart: the spinner's on a line
// that who rings does not read.
class Bell {
 public:
  template <class Ready>
  Waited wait(Wait& wait, SpinBudget& budget, Ready&& ready) {
    return view().wait(wait, budget, ready);
  }
  void ring() { view().ring(); }
  void ring_all() { view().ring_all(); }

 private:
  BellView view() { return {word_, spinner_}; }

  std::atomic<std::uint32_t> word_{0};
  std::atomic<std::uint32_t> spinner_{0};
};
static_assert(sizeof(Bell) == 8);

}  // namespace forkful::sync
