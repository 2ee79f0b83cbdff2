// Waiting until a time of any clock.
#pragma once

#include <chrono>
#include <forkful/wait.hpp>
#include <type_traits>

namespace forkful {
inline namespace v0 {
namespace detail {

// Ends when `Clock` shows `when`. That clock may be set: forward is noticed at the next slice of
// the sleep (at most 100 ms), back by whoever asks it again after a time-out.
template <class Clock, class Duration>
class ClockWait final : public Wait {
 public:
  using Time = std::chrono::time_point<Clock, Duration>;
  explicit ClockWait(const Time& when) : Wait(deadline_of(when)), when_(when) {}
  bool interrupted(bool) noexcept override { return Clock::now() >= when_; }
  [[nodiscard]] std::int64_t asked_within_ns() const noexcept override { return kOftenNs; }

 private:
  static Deadline deadline_of(const Time& when) {
    using std::chrono::nanoseconds;
    using Seconds = std::chrono::duration<double>;
    const auto now = Clock::now();
    if (now >= when) return Deadline::poll();
    // In doubles first: the difference of far times has no room in integers.
    constexpr Seconds kMost = nanoseconds::max();
    if (Seconds(when.time_since_epoch()) - Seconds(now.time_since_epoch()) >= kMost) {
      return Deadline::never();
    }
    return Deadline::in(std::chrono::ceil<nanoseconds>(when - now));
  }
  const Time when_;
};

// Calls `attempt(wait)`, which answers false (or nullopt) when it was not done in time.
template <class Clock, class Duration, class Attempt>
auto attempt_until(const std::chrono::time_point<Clock, Duration>& when, Attempt&& attempt) {
  if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
    Wait wait(Deadline::at(when));
    return attempt(wait);
  } else {
    for (;;) {
      ClockWait<Clock, Duration> wait(when);
      auto result = attempt(wait);
      if (result || Clock::now() >= when) return result;
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
