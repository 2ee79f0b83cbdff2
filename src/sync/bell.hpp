// A place where processes wait for something to become ready, and the bell that wakes them.
//
// At most one waiter spins (or yields, which is much the same), and the others sleep. Whoever makes
// something ready calls notify(), which costs one load while nobody sleeps. A notification wakes
// one sleeper, and a waiter that leaves more than it took notifies the next, so that one system
// call starts as many as there is work for.
//
//   word bit 0      somebody may sleep
//   word bits 1-31  counts the notifications
//   spinner         bit 0: somebody spins; the rest: until when, or until when the last one meant
//                   to, in ticks of 2^10 ns, modulo 2^32; 0: nobody ever did
//   rota            which sleeper looks when (see rota.hpp)
//
// A notification leaves the sleepers alone while somebody spins, since a spinner looks once more
// after it has withdrawn its word. One that is killed, stopped or preempted cannot; so its word is
// good only until the time that it names, and a notification after that wakes a sleeper. What was
// notified before that time, and by nobody after it, a sleeper has to find: while somebody spins
// now and then, one of them is the sentry, who looks every 17 ms. A spinner that finds none
// appoints one by waking it.
//
// Death: a notifier or a spinner may die at any line; the sleepers look for themselves in turn. See
// BELL.md, also for the internal locks of stopped members.
#pragma once

#include <limits>

#include "sync/owner_word.hpp"
#include "sync/pace.hpp"
#include "sync/rota.hpp"

namespace forkful::sync {

class BellView {
 public:
  // `lock`: under which whoever notifies has made ready what is waited for. Without one, whatever
  // makes it ready is a sequentially consistent read-modify-write, and so are the looks at it.
  BellView(std::atomic<std::uint32_t>& word, std::atomic<std::uint32_t>& spinner,
           std::atomic<std::uint32_t>& rota, const OwnerWord* lock = nullptr)
      : word_(word), spinner_(spinner), rota_(rota), lock_(lock) {}

  // Waits until `ready()`, which must be cheap and free of side effects. Call after having looked.
  template <class Ready>
  Waited wait(Wait& wait, SpinBudget& budget, Ready&& ready) {
    Blocking blocking(wait);
    Slices slices(wait, rota_);
    if (slices.expired()) return ready() ? Waited::done : Waited::timed_out;
    blocking.begin();
    if (try_spin_or_yield(budget, ready)) return Waited::done;
    bool woken = false;
    for (;;) {
      // Pairs with the load in notify(), and with wake(), which changes the count.
      std::uint32_t seen = word_.load(std::memory_order_seq_cst);
      if ((seen & kSleepers) == 0 &&
          !word_.compare_exchange_weak(seen, seen | kSleepers, std::memory_order_seq_cst)) {
        continue;
      }
      // Pairs with notify(): either this look sees what was made ready, or that notification sees
      // the bit.
      look_past_lock();
      if (ready()) return Waited::done;
      if (slices.expired()) return Waited::timed_out;
      const auto how = slices.sleep(word_, seen | kSleepers, duty(woken));
      woken = how == kernel::FutexWake::woken;
      switch (how) {
        case kernel::FutexWake::woken:
          // The notification cleared the bit, and others may sleep still. Pairs with the load in
          // notify(): the next one sees that it has to wake somebody.
          word_.fetch_or(kSleepers, std::memory_order_seq_cst);
          break;
        case kernel::FutexWake::changed:
          break;
        default:
          if (ready()) return Waited::done;
          if (wait.interrupted(how == kernel::FutexWake::signalled)) return Waited::interrupted;
      }
    }
  }

  // Call after making one thing ready, and after the unlock where that was done under a lock.
  void notify() {
    // Pairs with the bit that wait() sets before its last look.
    if ((word_.load(std::memory_order_seq_cst) & kSleepers) == 0) return;
    // Pairs with the withdrawal in try_spin(): a spinner that this load still sees looks again.
    const std::uint32_t spinner = spinner_.load(std::memory_order_seq_cst);
    if (spins(spinner)) {
      if (in_time(spinner)) return;
      withdraw(spinner, std::memory_order_relaxed);  // so that nobody has to ask the clock again
    }
    wake(1);
  }
  // Whether a notification might wake somebody. Pairs with the bit that wait() sets: whoever sleeps
  // after this look has looked for itself. Where somebody does, the caller's next look sees what
  // was made ready before any notification that was left to it.
  [[nodiscard]] bool has_sleepers() const {
    if ((word_.load(std::memory_order_seq_cst) & kSleepers) == 0) return false;
    look_past_lock();
    return true;
  }
  // Call after making something ready for all. Not at a bell that notify() is called of as well:
  // there the bit may be clear while some sleep, since a notification clears it and wakes one.
  void notify_all() { wake(kEverybody); }
  // As notify_all(), at any bell, for a system call each time: for the end of what it tells of.
  void wake_all();

 private:
  static constexpr int kEverybody = std::numeric_limits<int>::max();
  static constexpr std::uint32_t kSleepers = 1;
  static constexpr std::uint32_t kOneNotification = 2;
  static constexpr std::uint32_t kSpins = 1;
  // About a microsecond, and a shift instead of a division. Times repeat after 2^32 ticks, 73
  // minutes; in_time() then takes an old word for a spinner for 100 us at most.
  static constexpr std::int64_t kTickNs = 1 << 10;

  // One waiter tells whoever notifies that it looks again soon, so that no sleeper need be woken.
  class Announced {
   public:
    Announced(BellView& bell, std::int64_t begin_ns, std::int64_t end_ns)
        : bell_(bell), mine_(tick_of(end_ns) | kSpins) {
      std::uint32_t other = bell.spinner_.load(std::memory_order_relaxed);
      if (spins(other) && in_time(other)) return;
      // Pairs with the load in notify(). A notification that does not see it yet wakes a sleeper,
      // which costs a system call and nothing more.
      holds_ = bell.spinner_.compare_exchange_strong(other, mine_, std::memory_order_seq_cst);
      if (!holds_ || bell.nobody_sleeps()) return;
      if (Rota(bell.rota_).appoint(begin_ns)) kernel::futex_wake(bell.word_, 1);
    }
    // A notification that has seen the word was left to this waiter, which looks once more: before
    // it sleeps, or when it has taken what it found. Pairs with the load in notify(), so that this
    // look sees what was made ready. Where the time had run out, the word may be somebody else's by
    // now, and the look at it counts as much.
    ~Announced() {
      if (holds_) bell_.withdraw(mine_, std::memory_order_seq_cst);
    }
    Announced(const Announced&) = delete;
    Announced& operator=(const Announced&) = delete;
    // False where another one has.
    explicit operator bool() const { return holds_; }

   private:
    BellView& bell_;
    std::uint32_t mine_;
    bool holds_ = false;
  };

  [[nodiscard]] bool nobody_sleeps() const {
    return (word_.load(std::memory_order_relaxed) & kSleepers) == 0;
  }
  template <class Ready>
  bool try_spin_or_yield(SpinBudget& budget, Ready& ready) {
    return liveness().room_to_spin() ? try_spin(budget, ready) : try_yield(budget.yields(), ready);
  }
  template <class Ready>
  bool try_spin(SpinBudget& budget, Ready& ready) {
    const std::int64_t spin_ns = budget.next_ns();
    if (spin_ns == 0) return false;
    // While nobody sleeps no notification wakes anybody, so a short spin need not be announced.
    const bool alone = nobody_sleeps();
    if (alone && spin_briefly(budget.silence(), ready)) {
      budget.learn(spin_ns, true);
      return true;
    }
    const std::int64_t begin_ns = kernel::monotonic_ns();
    const Announced announced(*this, begin_ns, begin_ns + spin_ns);
    if (!announced) return false;
    const bool paid =
        (!alone && spin_briefly(budget.silence(), ready)) || spin_until(begin_ns + spin_ns, ready);
    budget.learn(spin_ns, paid);
    return paid;
  }
  // Where there is no CPU for everybody, whoever is to make it ready may need this one, so a waiter
  // yields once before it sleeps. A sleeper would be woken by the first message and preempt its
  // sender, so that each wake-up would bring a few messages only. Not so where a CPU is idle: there
  // a sleeper is woken, and a yielder would stay where it is.
  template <class Ready>
  bool try_yield(YieldBudget& budget, Ready& ready) {
    if (!budget.next()) return false;
    const std::int64_t begin_ns = kernel::monotonic_ns();
    if (nobody_sleeps()) {
      kernel::yield();
    } else {
      const Announced announced(*this, begin_ns, begin_ns + SpinBudget::kMostNs);
      if (!announced) return false;
      kernel::yield();
    }
    if (!ready()) return false;
    budget.learn(kernel::monotonic_ns() - begin_ns);
    return true;
  }
  static std::uint32_t tick_of(std::int64_t at_ns) {
    return static_cast<std::uint32_t>(at_ns / kTickNs);
  }
  static bool spins(std::uint32_t spinner) { return (spinner & kSpins) != 0; }
  // Whether the time that a spinner named is still to come.
  static bool in_time(std::uint32_t spinner);
  void withdraw(std::uint32_t spinner, std::memory_order order) {
    spinner_.compare_exchange_strong(spinner, spinner & ~kSpins, order);
  }
  // After the bell's words, and before a look that must not miss what an earlier notification was
  // for. Pairs with the unlock before notify().
  void look_past_lock() const {
    if (lock_ != nullptr) lock_->look_past();
  }
  // What a sleeper has to do besides its own looks. `woken`: it was woken, and found nothing ready.
  [[nodiscard]] Duty duty(bool woken) const;
  void wake(int count);

  std::atomic<std::uint32_t>& word_;
  std::atomic<std::uint32_t>& spinner_;
  std::atomic<std::uint32_t>& rota_;
  const OwnerWord* lock_;
};

// A bell in one piece. Where each message counts, the words are apart: the spinner's on a line
// that whoever notifies does not read.
class Bell {
 public:
  template <class Ready>
  Waited wait(Wait& wait, SpinBudget& budget, Ready&& ready) {
    return view().wait(wait, budget, ready);
  }
  void notify() { view().notify(); }
  void notify_all() { view().notify_all(); }
  // For those who wait for what is made ready under `lock`.
  BellView under(const OwnerWord& lock) { return {word_, spinner_, rota_, &lock}; }

 private:
  BellView view() { return {word_, spinner_, rota_}; }

  std::atomic<std::uint32_t> word_{0};
  std::atomic<std::uint32_t> spinner_{0};
  std::atomic<std::uint32_t> rota_{0};
};
static_assert(sizeof(Bell) == 12);

}  // namespace forkful::sync
