// The pace of a wait: spin while that pays, then sleep in slices.
//
// A sleeper on another core costs 25–55 us to wake, a spinner 0.4 us; but a spinner without a CPU
// of its own keeps the very process from running that it waits for. A sleep is cut into slices
// because whoever should wake the sleeper may be killed before it does.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <forkful/wait.hpp>

#include "kernel/clock.hpp"
#include "kernel/futex.hpp"
#include "sync/liveness.hpp"
#include "sync/rota.hpp"

namespace forkful::sync {

// Calls before() at the first block of a call and after() once at its end.
class Blocking {
 public:
  explicit Blocking(Wait& wait) : wait_(wait) {}
  ~Blocking() {
    if (begun_) wait_.after();
  }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;
  void begin() {
    if (!begun_) wait_.before();
    begun_ = true;
  }

 private:
  Wait& wait_;
  bool begun_ = false;
};

// Whether a waiter should let others have its CPU before it sleeps, learnt at one place. A yield in
// which the other side runs saves a wake-up; but a process that has nothing to do with it may use
// up its time slice meanwhile, which costs as much as a thousand wake-ups. So an account is kept of
// what yields have cost and saved, and a place that is in debt does without them.
// Race: as SpinBudget.
class YieldBudget {
 public:
  // Whether to yield in the wait that begins.
  [[nodiscard]] bool next() {
    const std::uint32_t debt = debt_us_.load(std::memory_order_relaxed);
    if (debt <= kMostDebtUs) return true;
    debt_us_.store(debt - 1, std::memory_order_relaxed);  // so that it is tried again some time
    return false;
  }
  // What was waited for was there after a yield of `turn_ns`. One in vain says nothing: it was
  // short, or a sleep would have been as long.
  void learn(std::int64_t turn_ns) {
    const std::uint32_t debt = debt_us_.load(std::memory_order_relaxed);
    const bool dear = turn_ns >= kLongTurnNs;
    const std::uint32_t cost_us = dear ? std::min(turn_ns / 1'000, std::int64_t{kMostTurnUs}) : 0;
    last_us_.store(cost_us, std::memory_order_relaxed);
    if (dear) {
      debt_us_.store(debt + cost_us, std::memory_order_relaxed);
    } else if (debt != 0) {
      debt_us_.store(debt - std::min(debt, kSavedUs), std::memory_order_relaxed);
    }
  }
  // A wait has found so many things. Where they are many, the long turn was the other side's, which
  // has made them: that was cheap, however long it took.
  void learn_found(std::uint32_t count) {
    const std::uint32_t last = last_us_.load(std::memory_order_relaxed);
    if (count < kManyFound || last == 0) return;
    const std::uint32_t debt = debt_us_.load(std::memory_order_relaxed);
    debt_us_.store(debt - std::min(debt, last), std::memory_order_relaxed);
    last_us_.store(0, std::memory_order_relaxed);
  }

 private:
  // A guess: far longer than a yield that finds nobody else to run (a microsecond), and shorter
  // than a time slice of the scheduler (some milliseconds).
  static constexpr std::int64_t kLongTurnNs = 500'000;
  // What a wake-up on one CPU costs.
  static constexpr std::uint32_t kSavedUs = 4;
  // A guess: some time slices, such as processes take that only start.
  static constexpr std::uint32_t kMostDebtUs = 20'000;
  // So that a process that was stopped meanwhile is not in debt for ever.
  static constexpr std::uint32_t kMostTurnUs = 4'000;
  // A guess: as many wake-ups cost as much as a time slice.
  static constexpr std::uint32_t kManyFound = 64;

  std::atomic<std::uint32_t> debt_us_{0};
  std::atomic<std::uint32_t> last_us_{0};  // what the last yield has cost, where its turn was long
};

// How to spin at one place, learnt from its recent waits. One a process and place.
// Race: threads may lose each other's updates, which costs a little learning.
class SpinBudget {
 public:
  // How long; 0: not at all.
  [[nodiscard]] std::int64_t next_ns() {
    const std::uint32_t now = ns_.load(std::memory_order_relaxed);
    if (now != 0) return now;
    // A place that gave up spinning tries again now and then.
    const std::uint32_t skips = skips_.load(std::memory_order_relaxed) + 1;
    const bool retry = skips >= retry_every_.load(std::memory_order_relaxed);
    skips_.store(retry ? 0 : skips, std::memory_order_relaxed);
    return retry ? kFirstNs : 0;
  }
  void learn(std::int64_t spun_ns, bool paid) {
    if (spun_ns == 0) return;
    if (!paid && ns_.load(std::memory_order_relaxed) == 0) {
      const std::uint32_t every = retry_every_.load(std::memory_order_relaxed);
      retry_every_.store(std::min(every * 2, kRetrySeldom), std::memory_order_relaxed);
      return;
    }
    const auto now = static_cast<std::uint32_t>(spun_ns);
    const std::uint32_t next = paid ? (now < kMostNs / 2 ? now * 2 : kMostNs) : now / 2;
    ns_.store(next < kLeastNs ? 0 : next, std::memory_order_relaxed);
    if (paid) retry_every_.store(kRetryEvery, std::memory_order_relaxed);
  }

  // How many pauses to leave the other side alone before the first look (see spin_briefly()). Where
  // what comes is many small things, a longer silence lets more of them come for each look; where
  // it is one thing and then a wait for the answer, silence would only delay the answer.
  [[nodiscard]] std::uint32_t silence() const { return silence_.load(std::memory_order_relaxed); }
  void lengthen_silence() {
    silence_.store(std::min(silence() * 2, kMostSilence), std::memory_order_relaxed);
  }
  void shorten_silence() {
    silence_.store(std::max(silence() / 2, kLeastSilence), std::memory_order_relaxed);
  }

  // For waits where there is no room to spin.
  [[nodiscard]] YieldBudget& yields() { return yields_; }

  static constexpr std::uint32_t kMostNs = 100'000;  // about what two wake-ups cost

 private:
  // What one wake-up costs: a wait that ends within it is cheaper spun than slept.
  static constexpr std::uint32_t kFirstNs = 50'000;
  // A guess: a shorter spin is hardly more than the looks before and after it.
  static constexpr std::uint32_t kLeastNs = 3'000;
  // A guess: one spin in vain in 16 waits costs some 3 us a wait.
  static constexpr std::uint32_t kRetryEvery = 16;
  // A spin in vain costs as much as ten waits on one CPU.
  static constexpr std::uint32_t kRetrySeldom = 256;
  static constexpr std::uint32_t kLeastSilence = 2;
  static constexpr std::uint32_t kMostSilence = 64;  // 3 us: what some 75 small messages take

  std::atomic<std::uint32_t> ns_{kFirstNs};
  std::atomic<std::uint32_t> skips_{0};
  std::atomic<std::uint32_t> retry_every_{kRetryEvery};
  std::atomic<std::uint32_t> silence_{kLeastSilence};
  YieldBudget yields_;
};

inline void pause_for(std::uint32_t pauses) {
  for (std::uint32_t i = 0; i < pauses; ++i) kernel::pause();
}

// The first part of a spin, without a clock; true when ready. Each look takes the cache line away
// from whoever is to make it ready. So first a silence, in which a sender that is busy sends a row
// of messages instead of one; then, for about as long as a reply takes, a look a pause.
template <class Ready>
bool spin_briefly(std::uint32_t silence, Ready&& ready) {
  constexpr int kLooks = 20;
  pause_for(silence);  // about 45 ns each
  for (int looks = 0; looks < kLooks; ++looks) {
    if (ready()) return true;
    kernel::pause();
  }
  return false;
}
// The second part: looks that come far apart, until the monotonic time `end_ns`.
template <class Ready>
bool spin_until(std::int64_t end_ns, Ready&& ready) {
  constexpr std::uint32_t kPauses = 8;
  for (;;) {
    pause_for(kPauses);
    if (ready()) return true;
    if (kernel::monotonic_ns() >= end_ns || !liveness().room_to_spin()) return ready();
  }
}

// The slices of one sleep. All sleeps of ours are cut here, so this is also where every member
// comes by now and then, whatever it waits for.
class Slices {
 public:
  static constexpr std::int64_t kOftenNs = Wait::kOftenNs;  // where what is waited for may die
  static constexpr std::int64_t kSeldomNs = 500'000'000;

  // The first slices are short, then they grow to `longest_ns`.
  explicit Slices(const Wait& wait, std::int64_t longest_ns = kSeldomNs)
      : Slices(wait, wait.deadline, longest_ns) {}
  Slices(const Wait& wait, Deadline until, std::int64_t longest_ns = kSeldomNs)
      : deadline_ns_(until.at_ns), longest_ns_(std::min(longest_ns, wait.asked_within_ns())) {}
  // Likewise, but those who sleep long take turns by the `rota` of the place where they sleep.
  Slices(const Wait& wait, std::atomic<std::uint32_t>& rota) : Slices(wait) {
    if (longest_ns_ == kSeldomNs) rota_ = Rota(rota);
  }

  [[nodiscard]] bool expired() const {
    return deadline_ns_ <= 0 ||
           (deadline_ns_ != Deadline::never().at_ns && kernel::monotonic_ns() >= deadline_ns_);
  }
  // One slice at that place: calls `sleep_until(monotonic ns)` and returns what that returns.
  template <class Sleep>
  auto sleep(const SleepsAt& place, Sleep&& sleep_until, Duty duty = Duty::none) {
    const std::int64_t now_ns = kernel::monotonic_ns();
    if (since_ns_ == 0) since_ns_ = now_ns;
    const std::int64_t end_ns = std::min(next_end_ns(duty, now_ns), deadline_ns_);
    const Asleep asleep(place, since_ns_);
    return sleep_until(end_ns);
  }
  // One slice of sleep while `word` holds `expected`.
  kernel::FutexWake sleep(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                          Duty duty = Duty::none) {
    liveness().look_around();
    const auto how = sleep(
        {SleepsAt::What::word, reinterpret_cast<std::uintptr_t>(&word)},
        [&](std::int64_t end_ns) { return kernel::futex_wait(word, expected, end_ns); }, duty);
    if (how == kernel::FutexWake::timed_out) liveness().slice_ended();
    return how;
  }

 private:
  class Asleep {
   public:
    Asleep(const SleepsAt& place, std::int64_t since_ns) { liveness_.begin_sleep(place, since_ns); }
    ~Asleep() { liveness_.end_sleep(); }
    Asleep(const Asleep&) = delete;
    Asleep& operator=(const Asleep&) = delete;

   private:
    Liveness& liveness_ = liveness();  // another thread may found one meanwhile
  };

  std::int64_t next_end_ns(Duty duty, std::int64_t now_ns) {
    if (rota_ && rota_.take(duty, now_ns)) return now_ns + Rota::kSentryNs;
    if (rota_ && slice_ns_ == longest_ns_) return rota_.next_look_ns(now_ns);
    const std::int64_t end_ns = now_ns + slice_ns_;
    slice_ns_ = std::min(slice_ns_ * 2, longest_ns_);
    return end_ns;
  }

  std::int64_t deadline_ns_;
  std::int64_t longest_ns_;
  std::int64_t since_ns_ = 0;  // when the first slice began
  std::int64_t slice_ns_ = 10'000'000;
  Rota rota_;
};

}  // namespace forkful::sync
