// A place where a number of processes or threads meet.
//
//   forkful::Barrier barrier(4);
//   …                                   // in each of four processes:
//   barrier.wait();                     // returns when all four are there
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <forkful/bytes/barrier.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/errors.hpp>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {

// The same parties can meet again and again. Copies share one barrier, and so does the copy that
// arrives when a Barrier is sent.
//
// When a party cannot come any more, the others are not left waiting: the barrier is broken, wait()
// throws BrokenBarrier in those who wait and those who come later, until reset().
//
// Threads: any thread of any process of the family.
// Death:   a party that dies while it waits, or runs the action, breaks the barrier; the others
//          notice within about 100 ms. Of one that died before it came to the barrier nobody can
//          know: where that may happen, use wait_for().
// Fork:    usable in the child.
class Barrier {
 public:
  // Throws: std::invalid_argument, when `parties` is 0 or more than 2^22, as a negative number is.
  explicit Barrier(std::uint32_t parties, const Label& label = std::source_location::current())
      : barrier_(bytes::RawBarrier::create(parties, label)) {}

  // Waits until all parties have come. Returns which one this was, from 0 to parties - 1.
  // Throws: BrokenBarrier.
  std::size_t wait() const { return wait(Nothing{}); }
  // The last one calls `action()` before anybody returns; if it throws, the barrier breaks and the
  // exception goes to the last one. Each party gives an action, and only one is called.
  template <std::invocable Action>
  std::size_t wait(Action&& action) const {
    const auto index = meet(action, [](auto attempt) {
      Wait forever;
      return attempt(forever);
    });
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): a wait for ever ends with an index
    return *index;
  }

  // nullopt: not all came in time, respectively before the stop. That breaks the barrier.
  [[nodiscard]] std::optional<std::size_t> wait_for(Duration duration) const {
    return wait_for(duration, Nothing{});
  }
  template <std::invocable Action>
  [[nodiscard]] std::optional<std::size_t> wait_for(Duration duration, Action&& action) const {
    const Deadline deadline = Deadline::in(duration);
    return meet(action, [&](auto attempt) {
      Wait until(deadline);
      return attempt(until);
    });
  }
  template <class Clock, class Unit>
  [[nodiscard]] std::optional<std::size_t> wait_until(
      const std::chrono::time_point<Clock, Unit>& when) const {
    return wait_until(when, Nothing{});
  }
  template <class Clock, class Unit, std::invocable Action>
  [[nodiscard]] std::optional<std::size_t> wait_until(
      const std::chrono::time_point<Clock, Unit>& when, Action&& action) const {
    return meet(action, [&](auto attempt) { return detail::attempt_until(when, attempt); });
  }
  [[nodiscard]] std::optional<std::size_t> wait(const std::stop_token& token) const {
    return wait(token, Nothing{});
  }
  template <std::invocable Action>
  [[nodiscard]] std::optional<std::size_t> wait(const std::stop_token& token,
                                                Action&& action) const {
    return meet(action, [&](auto attempt) {
      StopWait until(token);
      return attempt(until);
    });
  }

  // Makes it whole and empty again. Throws BrokenBarrier in those who wait.
  void reset() const { barrier_.reset(); }
  // Breaks it.
  void abort() const { barrier_.abort(); }
  [[nodiscard]] std::size_t parties() const { return barrier_.parties(); }
  // How many wait in it now.
  [[nodiscard]] std::size_t waiting() const { return barrier_.waiting(); }
  [[nodiscard]] bool broken() const { return barrier_.broken(); }

  friend bool operator==(const Barrier&, const Barrier&) = default;

  // For sending handles.
  [[nodiscard]] const bytes::Shared& shared() const { return barrier_; }
  static Barrier adopt(bytes::Shared::Id id) { return Barrier(bytes::RawBarrier::adopt(id)); }

 private:
  using Passed = bytes::RawBarrier::Passed;
  using Arrival = bytes::RawBarrier::Arrival;
  struct Nothing {
    void operator()() const {}
  };

  explicit Barrier(bytes::RawBarrier barrier) : barrier_(std::move(barrier)) {}

  // `attempting` calls what it is given with a Wait, once or until the time has come.
  template <class Action, class Attempting>
  std::optional<std::size_t> meet(Action& action, Attempting attempting) const {
    Arrival arrival;
    if (!attempting([&](Wait& wait) { return in_time(barrier_.arrive(arrival, wait)); })) {
      barrier_.abort();
      return std::nullopt;
    }
    if (arrival.last) {
      run(action, arrival);
    } else if (!attempting([&](Wait& wait) { return in_time(barrier_.wait(arrival, wait)); })) {
      // Released at the last moment is in time.
      if (barrier_.give_up(arrival) != Passed::yes) return std::nullopt;
    }
    return arrival.index;
  }
  template <class Action>
  void run(Action& action, const Arrival& arrival) const {
    try {
      action();
    } catch (...) {
      (void)barrier_.give_up(arrival);
      throw;
    }
    if (!barrier_.release(arrival)) throw_broken();
  }
  [[nodiscard]] bool in_time(Passed how) const {
    if (how == Passed::broken) throw_broken();
    return how == Passed::yes;
  }
  [[noreturn]] void throw_broken() const {
    throw BrokenBarrier(
        "the " + barrier_.called("Barrier") +
        " is broken: a party came too late, stopped or died, its action threw, or "
        "somebody called abort() or reset(); after reset() the parties can meet again");
  }

  bytes::RawBarrier barrier_;
};

}  // namespace v0
}  // namespace forkful
