// A counting semaphore between processes.
#pragma once

#include <chrono>
#include <cstdint>
#include <forkful/bytes/semaphore.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/errors.hpp>
#include <stop_token>
#include <utility>

namespace forkful {
inline namespace v0 {

// Has the words of std::counting_semaphore. Copies share one semaphore, and so does the copy that
// arrives when one is sent.
//
// Threads: any thread of any process of the family.
// Death:   a semaphore has no owner: a process that dies with a permit takes it along.
class Semaphore {
 public:
  // `most` bounds the value: with most == value, one release() too many throws. Throws:
  // std::invalid_argument, when value > most, or most > 2^31 - 1, as negative numbers are.
  explicit Semaphore(std::uint32_t value = 1, std::uint32_t most = 0x7fffffff,
                     const Label& label = std::source_location::current())
      : semaphore_(bytes::RawSemaphore::create(value, most, label)) {}

  void acquire() const {
    Wait forever;
    (void)acquire(forever);
  }
  // False when a stop was requested first.
  [[nodiscard]] bool acquire(std::stop_token token) const {
    StopWait wait(std::move(token));
    return acquire(wait);
  }
  [[nodiscard]] bool try_acquire() const { return semaphore_.try_acquire(); }
  [[nodiscard]] bool try_acquire_for(Duration duration) const {
    Wait wait(Deadline::in(duration));
    return acquire(wait);
  }
  template <class Clock, class Unit>
  [[nodiscard]] bool try_acquire_until(const std::chrono::time_point<Clock, Unit>& when) const {
    return detail::attempt_until(when, [&](Wait& wait) { return acquire(wait); });
  }
  // Throws: Error, when the value would exceed its bound.
  void release() const {
    if (!semaphore_.release()) {
      throw Error("release: the " + semaphore_.called("BoundedSemaphore") +
                  " has all its permits already");
    }
  }
  [[nodiscard]] std::uint32_t value() const { return semaphore_.value(); }

  friend bool operator==(const Semaphore&, const Semaphore&) = default;

  // For sending handles.
  [[nodiscard]] const bytes::Shared& shared() const { return semaphore_; }
  static Semaphore adopt(bytes::Shared::Id id) { return Semaphore(bytes::RawSemaphore::adopt(id)); }

 protected:
  explicit Semaphore(bytes::RawSemaphore semaphore) : semaphore_(std::move(semaphore)) {}

 private:
  bool acquire(Wait& wait) const { return semaphore_.acquire(wait) == Waited::done; }
  bytes::RawSemaphore semaphore_;
};

}  // namespace v0
}  // namespace forkful
