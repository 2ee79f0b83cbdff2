// The pace of a wait: spin while that pays, then sleep in slices.
//
// A sleeper on another core costs 25–55 us to wake, a spinner 0.4 us; but a spinner without a CPU
// of its own keeps the very process from running that it waits for. A sleep is cut into slices
// because whoever should wake the sleeper may be killed before it does.
#pragma once

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

// How long to spin at one place, learnt from its recent waits. One a process and place.
// Race: threads may lose each other's updates, which costs a little learning.
class SpinBudget {
 public:
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

 private:
  static constexpr std::uint32_t kFirstNs = 50'000;
  static constexpr std::uint32_t kMostNs = 100'000;
  static constexpr std::uint32_t kLeastNs = 3'000;
  static constexpr std::uint32_t kRetryEvery = 16;
  std::atomic<std::uint32_t> ns_{kFirstNs};
  std::atomic<std::uint32_t> skips_{0};
};

// Spins until `ready()` or for `budget_ns`; true when ready.
//
// Each look takes the cache line away from whoever is to make it ready. So first a silence, in
// which a sender that is busy sends a row of messages instead of one; then, for about as long as a
// reply takes, a look a pause; then looks that come far apart.
template <class Ready>
bool spin(std::int64_t budget_ns, Ready&& ready) {
  constexpr int kSilence = 2;  // pauses, of about 45 ns each
  constexpr int kQuickLooks = 20;
  constexpr int kPauses = 8;
  const auto pause = [](int times) {
    for (int i = 0; i < times; ++i) kernel::pause();
  };
  const std::int64_t end_ns = kernel::monotonic_ns() + budget_ns;
  if (ready()) return true;
  pause(kSilence);
  for (int looks = 0; looks < kQuickLooks; ++looks) {
    if (ready()) return true;
    pause(1);
  }
  for (;;) {
    pause(kPauses);
    if (ready()) return true;
    if (kernel::monotonic_ns() >= end_ns || !family().room_to_spin()) return ready();
  }
}

// The slices of one sleep.
class Slices {
 public:
  explicit Slices(const Wait& wait) : deadline_ns_(wait.deadline.at_ns) {}
  [[nodiscard]] bool expired() const {
    return deadline_ns_ <= 0 ||
           (deadline_ns_ != Deadline::never().at_ns && kernel::monotonic_ns() >= deadline_ns_);
  }
  // One slice of sleep on `word`.
  kernel::FutexWake sleep(const std::atomic<std::uint32_t>& word, std::uint32_t expected) {
    const std::int64_t slice_end = kernel::monotonic_ns() + slice_ns_;
    slice_ns_ = slice_ns_ * 2 < kLongestNs ? slice_ns_ * 2 : kLongestNs;
    family().begin_sleep();
    const auto how =
        kernel::futex_wait(word, expected, slice_end < deadline_ns_ ? slice_end : deadline_ns_);
    family().end_sleep();
    if (how == kernel::FutexWake::timed_out) family().slice_ended();
    return how;
  }

 private:
  static constexpr std::int64_t kLongestNs = 100'000'000;
  std::int64_t deadline_ns_;
  std::int64_t slice_ns_ = 10'000'000;
};

}  // namespace forkful::sync
