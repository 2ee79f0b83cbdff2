// How a caller waits: until when, and what it does around a sleep.
//
// Times are CLOCK_MONOTONIC nanoseconds, so that a changed wall clock has no effect.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <stop_token>

namespace forkful {
inline namespace v0 {

// How long a call may take: a duration of any unit, rounded up to nanoseconds. One that is longer
// than these can say (hours::max()) has no end; a wait of one that is below zero, or not a number,
// only tries.
class Duration {
 public:
  template <class Rep, class Period>
  constexpr Duration(std::chrono::duration<Rep, Period> span)  // NOLINT(*-explicit-*): it is one
      : span_(saturated(span)) {}

  static constexpr Duration endless() { return std::chrono::nanoseconds::max(); }

  [[nodiscard]] constexpr std::chrono::nanoseconds span() const { return span_; }
  friend constexpr bool operator==(Duration, Duration) = default;

 private:
  template <class Span>
  static constexpr std::chrono::nanoseconds saturated(Span span) {
    using std::chrono::nanoseconds;
    // In doubles first: a longer one has no room in the integers of a smaller unit.
    const std::chrono::duration<double, std::nano> about = span;
    if (about >= nanoseconds::max()) return nanoseconds::max();
    if (!(about > nanoseconds::min())) return nanoseconds::min();  // not a number, too
    // Whole seconds by themselves: in an odd unit all of it has no room where it is converted.
    const auto whole = std::chrono::floor<std::chrono::seconds>(span);
    return nanoseconds(whole) + std::chrono::ceil<nanoseconds>(span - whole);
  }

  std::chrono::nanoseconds span_;
};

struct Deadline {
  std::int64_t at_ns = std::numeric_limits<std::int64_t>::max();

  static constexpr Deadline never() { return {}; }
  static constexpr Deadline poll() { return {0}; }  // try once, do not wait
  static Deadline in(Duration duration);
  // steady_clock is CLOCK_MONOTONIC. Other clocks may be set: see detail/waits/until.hpp.
  template <class Unit>
  static Deadline at(std::chrono::time_point<std::chrono::steady_clock, Unit> when) {
    const std::chrono::nanoseconds since = Duration(when.time_since_epoch()).span();
    return {since.count()};
  }

  [[nodiscard]] constexpr bool is_never() const {
    return at_ns == std::numeric_limits<std::int64_t>::max();
  }
  [[nodiscard]] constexpr bool is_poll() const { return at_ns <= 0; }
};

enum class [[nodiscard]] Waited { done, timed_out, interrupted };

// Passed to every blocking call. The engine calls before() once before its first spin or sleep and
// after() once after its last; Python's subclass gives the interpreter lock away between the two.
// interrupted() is asked between sleeps: true ends the wait.
//
// Threads: one Wait belongs to one call.
class Wait {
 public:
  // A wait that must notice what no signal and no wake-up tells is asked this often.
  static constexpr std::int64_t kOftenNs = 100'000'000;

  explicit Wait(Deadline until = Deadline::never()) : deadline(until) {}
  virtual ~Wait() = default;
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  virtual void before() noexcept {}
  virtual void after() noexcept {}
  // `signalled`: a signal ended the sleep; otherwise only a slice of it is over.
  virtual bool interrupted(bool signalled) noexcept {
    (void)signalled;
    return false;
  }
  // How long a sleep may last before interrupted() is asked. A signal ends a sleep in any case; a
  // subclass whose answer changes without one says kOftenNs.
  [[nodiscard]] virtual std::int64_t asked_within_ns() const noexcept {
    return std::numeric_limits<std::int64_t>::max();
  }

  const Deadline deadline;
};

// Ends when a stop is requested, at once where it was requested before; notices it within a slice
// of the sleep (at most 100 ms).
class StopWait final : public Wait {
 public:
  explicit StopWait(std::stop_token token, Deadline until = Deadline::never())
      : Wait(token.stop_requested() ? Deadline::poll() : until), token_(std::move(token)) {}
  bool interrupted(bool) noexcept override { return token_.stop_requested(); }
  [[nodiscard]] std::int64_t asked_within_ns() const noexcept override { return kOftenNs; }

 private:
  std::stop_token token_;
};

}  // namespace v0
}  // namespace forkful
