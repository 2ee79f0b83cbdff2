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
#include "sync/family.hpp"

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
    skips_.store(skips % kRetryEvery, std::memory_order_relaxed);
    return skips == kRetryEvery ? kFirstNs : 0;
  }
  void learn(std::int64_t spun_ns, bool paid) {
    if (spun_ns == 0) return;
    const auto now = static_cast<std::uint32_t>(spun_ns);
    const std::uint32_t next = paid ? (now < kMostNs / 2 ? now * 2 : kMostNs) : now / 2;
    ns_.store(next < kLeastNs ? 0 : next, std::memory_order_relaxed);
  }

  // How many pauses to leave the other side alone before the first look (see spin()). Where what
  // comes is many small things, a longer silence lets more of them come for each look; where it is
  // one thing and then a wait for the answer, silence would only delay the answer.
  [[nodiscard]] std::uint32_t silence() const { return silence_.load(std::memory_order_relaxed); }
  void lengthen_silence() {
    silence_.store(std::min(silence() * 2, kMostSilence), std::memory_order_relaxed);
  }
  void shorten_silence() {
    silence_.store(std::max(silence() / 2, kLeastSilence), std::memory_order_relaxed);
  }

  static constexpr std::uint32_t kMostNs = 100'000;  // about what two wake-ups cost

 private:
  static constexpr std::uint32_t kFirstNs = 50'000;
  static constexpr std::uint32_t kLeastNs = 3'000;
  static constexpr std::uint32_t kRetryEvery = 16;
  static constexpr std::uint32_t kLeastSilence = 2;
  static constexpr std::uint32_t kMostSilence = 64;  // 3 us: what some 75 small messages take
  std::atomic<std::uint32_t> ns_{kFirstNs};
  std::atomic<std::uint32_t> skips_{0};
  std::atomic<std::uint32_t> silence_{kLeastSilence};
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
    if (kernel::monotonic_ns() >= end_ns || !family().room_to_spin()) return ready();
  }
}

// The time at which this sleeper looks next, among those that sleep long at one place and share
// `rota`. Each takes a time shortly after the last one taken, so that of few each looks twice a
// second, and of many one does every few milliseconds, each of them seldom. A wake-up that was lost
// is made up for by the next look.
//
//   rota  the last time taken, in ticks of 2^20 ns, modulo 2^32
//
// Death: the time that a dead sleeper had taken passes unused; another one's is not far.
inline std::int64_t next_look_ns(std::atomic<std::uint32_t>& rota, std::int64_t now_ns) {
  constexpr std::int64_t kTickNs = 1 << 20;
  constexpr std::uint32_t kApart = 16;    // 60 looks a second at one place, however many sleep
  constexpr std::uint32_t kLeast = 480;   // half a second
  constexpr std::uint32_t kMost = 8'000;  // eight seconds, where 500 sleep
  const auto now = static_cast<std::uint32_t>(now_ns / kTickNs);
  std::uint32_t last = rota.load(std::memory_order_relaxed);
  for (;;) {
    // A time that is over does not count, nor one too far ahead to have been taken by anybody.
    const std::uint32_t ahead = last - now <= kMost ? last - now : 0;
    const std::uint32_t ticks = std::clamp(ahead + kApart, kLeast, kMost);
    if (rota.compare_exchange_weak(last, now + ticks, std::memory_order_relaxed)) {
      return now_ns + ticks * kTickNs;
    }
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
    if (longest_ns_ == kSeldomNs) rota_ = &rota;
  }

  [[nodiscard]] bool expired() const {
    return deadline_ns_ <= 0 ||
           (deadline_ns_ != Deadline::never().at_ns && kernel::monotonic_ns() >= deadline_ns_);
  }
  // One slice: calls `sleep_until(monotonic ns)` and returns what that returns.
  template <class Sleep>
  auto sleep(Sleep&& sleep_until) {
    const std::int64_t end_ns = std::min(next_end_ns(), deadline_ns_);
    const Asleep asleep;
    return sleep_until(end_ns);
  }
  // One slice of sleep while `word` holds `expected`.
  kernel::FutexWake sleep(const std::atomic<std::uint32_t>& word, std::uint32_t expected) {
    family().look_around();
    const auto how =
        sleep([&](std::int64_t end_ns) { return kernel::futex_wait(word, expected, end_ns); });
    if (how == kernel::FutexWake::timed_out) family().slice_ended();
    return how;
  }

 private:
  class Asleep {
   public:
    Asleep() { family_.begin_sleep(); }
    ~Asleep() { family_.end_sleep(); }
    Asleep(const Asleep&) = delete;
    Asleep& operator=(const Asleep&) = delete;

   private:
    Family& family_ = family();  // another thread may found one meanwhile
  };

  std::int64_t next_end_ns() {
    const std::int64_t now_ns = kernel::monotonic_ns();
    if (slice_ns_ == longest_ns_ && rota_ != nullptr) return next_look_ns(*rota_, now_ns);
    const std::int64_t end_ns = now_ns + slice_ns_;
    slice_ns_ = std::min(slice_ns_ * 2, longest_ns_);
    return end_ns;
  }

  std::int64_t deadline_ns_;
  std::int64_t longest_ns_;
  std::int64_t slice_ns_ = 10'000'000;
  std::atomic<std::uint32_t>* rota_ = nullptr;
};

}  // namespace forkful::sync
