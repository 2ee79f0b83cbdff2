// A lock between processes that its thread may lock again.
#pragma once

#include <chrono>
#include <forkful/bytes/lock.hpp>
#include <forkful/detail/waits/acquire.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/errors.hpp>
#include <forkful/lock.hpp>
#include <stop_token>
#include <utility>

namespace forkful {
inline namespace v0 {

// As Lock, but it belongs to the thread that locked it: that thread may lock it again, and must
// unlock it as often; no other thread can.
//
// Threads: any thread of any process of the family. Death, Fork: as Lock.
class RLock {
 public:
  explicit RLock(OnOwnerDeath policy = OnOwnerDeath::raise,
                 const Label& label = std::source_location::current())
      : lock_(bytes::RawRLock::create(policy, label)) {}

  // Throws: LockOwnerDied; the lock is not held then.
  void lock() const { (void)detail::acquire(lock_, Deadline::never()); }
  [[nodiscard]] bool try_lock() const { return detail::acquire(lock_, Deadline::poll()); }
  [[nodiscard]] bool try_lock_for(Duration duration) const {
    return detail::acquire(lock_, Deadline::in(duration));
  }
  template <class Clock, class Unit>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Unit>& when) const {
    return detail::attempt_until(when, [&](Wait& wait) { return detail::acquire(lock_, wait); });
  }
  // False when a stop was requested first.
  [[nodiscard]] bool lock(std::stop_token token) const {
    StopWait wait(std::move(token));
    return detail::acquire(lock_, wait);
  }
  // Throws: Error, when this thread does not hold it.
  void unlock() const {
    if (!lock_.release()) {
      throw Error("unlock: this thread does not hold the " + lock_.called("RLock"));
    }
  }
  [[nodiscard]] bool is_mine() const { return lock_.mine(); }
  // Takes the lock from an owner that died; false when there is none such (any more).
  [[nodiscard]] bool recover() const { return lock_.recover(); }

  friend bool operator==(const RLock&, const RLock&) = default;

  // For sending handles.
  [[nodiscard]] const bytes::Shared& shared() const { return lock_; }
  static RLock adopt(bytes::Shared::Id id) { return RLock(bytes::RawRLock::adopt(id)); }

 private:
  friend class Condition;
  explicit RLock(bytes::RawRLock lock) : lock_(std::move(lock)) {}
  bytes::RawRLock lock_;
};

}  // namespace v0
}  // namespace forkful
