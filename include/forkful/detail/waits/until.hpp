// Waiting until a time of any clock.
#pragma once

#include <chrono>
#include <forkful/wait.hpp>
#include <type_traits>

namespace forkful {
inline namespace v0 {
namespace detail {

// As floating point, since the difference of far times, and a far time itself in the clock's unit,
// have no room in integers; a long double has each nanosecond of 292 years.
using Nanoseconds = std::chrono::duration<long double, std::nano>;

// Whether `when` has come; what is not a number has.
template <class Clock, class Unit>
bool has_come(const std::chrono::time_point<Clock, Unit>& when) {
  return !(Nanoseconds(Clock::now().time_since_epoch()) < Nanoseconds(when.time_since_epoch()));
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
    const Nanoseconds now = Clock::now().time_since_epoch();
    return Deadline::in(Nanoseconds(when.time_since_epoch()) - now);
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

// Likewise for an `attempt(deadline)` that nothing interrupts: it is made again every 100 ms where
// the clock may be set.
template <class Clock, class Unit, class Attempt>
auto attempt_by(const std::chrono::time_point<Clock, Unit>& when, Attempt&& attempt) {
  return attempt_until(when, [&](const Wait& wait) {
    if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
      return attempt(wait.deadline);
    } else {
      const Deadline slice = Deadline::in(std::chrono::nanoseconds(Wait::kOftenNs));
      return attempt(wait.deadline.at_ns < slice.at_ns ? wait.deadline : slice);
    }
  });
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
