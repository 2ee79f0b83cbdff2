// Which of those that sleep at one place looks when, so that a wake-up which was lost is made up
// for by the next look, and the looks of all together are few.
//
//   bits 8-31  the last time that a sleeper took, in ticks of 2^20 ns, modulo 2^24
//   bits 0-7   the time at which the sentry looks, likewise, modulo 2^8
//
// Each sleeper takes a time shortly after the last one taken, so that of few each looks twice a
// second, and of many one does every few milliseconds, each of them seldom. Where somebody spins
// beside them, one is the sentry, who looks often (see bell.hpp).
//
// Death: the time that a dead sleeper had taken passes unused; another one's is not far. A dead
// sentry's is over soon.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace forkful::sync {

// What a sleeper has to do besides its own looks: be the sentry where nobody else is, or be it
// instead of whoever is.
enum class Duty { none, sentry_if_none, sentry };

// One sleeper's view of the rota.
class Rota {
 public:
  Rota() = default;  // of a place without one
  explicit Rota(std::atomic<std::uint32_t>& word) : word_(&word) {}
  explicit operator bool() const { return word_ != nullptr; }

  // About a millisecond, and a shift instead of a division.
  static constexpr std::int64_t kTickNs = 1 << 20;
  // A guess. It bounds for how long a stopped spinner keeps a notification from the others, and
  // costs 60 looks a second.
  static constexpr std::int64_t kSentryNs = 16 * kTickNs;

  // The time at which this sleeper looks next. All orders in here are relaxed: the word says
  // which sleeper looks when, and what is looked for is read with orders of its own.
  [[nodiscard]] std::int64_t next_look_ns(std::int64_t now_ns) {
    constexpr std::uint32_t kApart = 16;    // 60 looks a second at one place, however many sleep
    constexpr std::uint32_t kLeast = 480;   // half a second
    constexpr std::uint32_t kMost = 8'000;  // eight seconds, where 500 sleep
    const std::uint32_t now = tick_of(now_ns);
    std::uint32_t seen = word_->load(std::memory_order_relaxed);
    for (;;) {
      // A time that is over does not count, nor one too far ahead to have been taken by anybody.
      const std::uint32_t distance = ((seen >> kSentryBits) - now) & kLastMask;
      const std::uint32_t ahead = distance <= kMost ? distance : 0;
      const std::uint32_t ticks = std::clamp(ahead + kApart, kLeast, kMost);
      const std::uint32_t next = ((now + ticks) << kSentryBits) | (seen & kSentryMask);
      if (word_->compare_exchange_weak(seen, next, std::memory_order_relaxed)) {
        return now_ns + ticks * kTickNs;
      }
    }
  }
  // True when this sleeper is the sentry from now on, or still, and looks after kSentryNs.
  [[nodiscard]] bool take(Duty duty, std::int64_t now_ns) {
    const bool is =
        duty != Duty::none && set_sentry(now_ns, kSentryNs / kTickNs, duty == Duty::sentry);
    if (!is) mine_ = kNobodys;
    return is;
  }
  // True when nobody is the sentry; the caller then wakes a sleeper to be it. That sleeper counts
  // as the sentry before it is awake, so that others do not wake another.
  [[nodiscard]] bool appoint(std::int64_t now_ns) {
    // A wake-up takes 25 to 55 us, and longer on a busy machine: a guess.
    constexpr std::uint32_t kTicksToWake = 2;
    const bool was_nobody = set_sentry(now_ns, kTicksToWake, false);
    mine_ = kNobodys;
    return was_nobody;
  }

 private:
  static constexpr std::uint32_t kSentryBits = 8;
  static constexpr std::uint32_t kSentryMask = (1 << kSentryBits) - 1;
  static constexpr std::uint32_t kLastMask = (1 << (32 - kSentryBits)) - 1;
  // A sentry that is not back from its look after so long is none any more.
  static constexpr std::uint32_t kLate = 8;

  static std::uint32_t tick_of(std::int64_t now_ns) {
    return static_cast<std::uint32_t>(now_ns / kTickNs);
  }
  bool set_sentry(std::int64_t now_ns, std::uint32_t ticks, bool instead) {
    const std::uint32_t now = tick_of(now_ns);
    const std::uint32_t next = (now + ticks) & kSentryMask;
    std::uint32_t seen = word_->load(std::memory_order_relaxed);
    do {
      const std::uint32_t ahead = (seen - now + kLate) & kSentryMask;
      const bool has_other = ahead <= kSentryNs / kTickNs + kLate && (seen & kSentryMask) != mine_;
      if (has_other && !instead) return false;
    } while (!word_->compare_exchange_weak(seen, (seen & ~kSentryMask) | next,
                                           std::memory_order_relaxed));
    mine_ = next;
    return true;
  }

  static constexpr std::uint32_t kNobodys = kSentryMask + 1;
  std::atomic<std::uint32_t>* word_ = nullptr;
  std::uint32_t mine_ = kNobodys;  // the sentry's time that this sleeper has taken
};

}  // namespace forkful::sync
