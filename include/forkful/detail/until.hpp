// Waiting until a time of any clock.
#pragma once

#include <chrono>
#include <forkful/wait.hpp>
#include <type_traits>

namespace forkful {
inline namespace v0 {
namespace detail {

// Whether `when` has come. In doubles first: the difference of far times, and a far time itself in
// the clock's own unit, have no room in integers.
template <class Clock, class Unit>
bool has_come(const std::chrono::time_point<Clock, Unit>& when) {
  using Seconds = std::chrono::duration<double>;
  constexpr Seconds kMost = std::chrono::nanoseconds::max();
  const Seconds since = when.time_since_epoch();
  if (since >= kMost) return false;
  return since <= -kMost || Clock::now() >= when;
}

// Ends when `Clock` shows `when`. That clock may be set: forward is noticed at the next slice of
// the sleep (at most 100 ms), back by whoever asks it again after a time-out.
template <class Clock, class Unit>
class ClockWait final : public Wait {
 public:
  using Time = std::chrono::time_point<Clock, Unit>;
  explicit ClockWait(const Time& when) : Wait(deadline_of(when)), when_(when) {}
  bool interrupted(bool) noexcept override { return has_come(when_); }
  [[nodiscard]] std::int64_t asked_within_ns() const noexcept override { return kOftenNs; }

 private:
  static Deadline deadline_of(const Time& when) {
    if (has_come(when)) return Deadline::poll();
    using Seconds = std::chrono::duration<double>;
    const auto now = Clock::now();
    constexpr Seconds kMost = std::chrono::nanoseconds::max();
    if (Seconds(when.time_since_epoch()) - Seconds(now.time_since_epoch()) >= kMost) {
      return Deadline::never();
    }
    return Deadline::in(when - now);
  }
  const Time when_;
};

// Calls `attempt(wait)`, which answers false (or nullopt) when it was not done in time.
template <class Clock, class Unit, class Attempt>
auto attempt_until(const std::chrono::time_point<Clock, Unit>& when, Attempt&& attempt) {
  if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
    Wait wait(Deadline::at(when));
    return attempt(wait);
  } else {
    for (;;) {
      ClockWait<Clock, Unit> wait(when);
      auto result = attempt(wait);
      if (result || has_come(when)) return result;
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
