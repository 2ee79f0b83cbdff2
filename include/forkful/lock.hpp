// A lock between processes.
//
//   forkful::Lock lock;
//   std::lock_guard guard(lock);
#pragma once

#include <chrono>
#include <forkful/bytes/lock.hpp>
#include <forkful/detail/waits/acquire.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/errors.hpp>
#include <stop_token>
#include <utility>

namespace forkful {
inline namespace v0 {

using bytes::OnOwnerDeath;

// Meets TimedLockable, so std::lock_guard, unique_lock and scoped_lock take it. Copies share one
// lock, and so does the copy that arrives when a Lock is sent.
//
// Threads: any thread of any process of the family. Not recursive.
// Death:   when the owner dies abnormally, lock() throws LockOwnerDied in those who wait and in
//          those who come later, until somebody recovers the lock. An owner that exits in order
//          keeps it locked: another process may unlock it.
// Fork:    usable in the child, which does not hold what its parent holds.
class Lock {
 public:
  explicit Lock(OnOwnerDeath policy = OnOwnerDeath::raise,
                const Label& label = std::source_location::current())
      : lock_(bytes::RawLock::create(policy, label)) {}

  // Throws: LockOwnerDied; the lock is not held then.
  void lock() const { (void)detail::acquire(lock_, Deadline::never()); }
  [[nodiscard]] bool try_lock() const { return lock_.try_acquire(); }
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
  // Throws: Error, when it is not locked.
  void unlock() const {
    if (!lock_.release()) throw Error("unlock: the " + lock_.called("Lock") + " is not locked");
  }
  [[nodiscard]] bool is_locked() const { return lock_.locked(); }
  // Takes the lock from an owner that died; false when there is none such (any more).
  [[nodiscard]] bool recover() const { return lock_.recover(); }

  friend bool operator==(const Lock&, const Lock&) = default;

  // For sending handles.
  [[nodiscard]] const bytes::Shared& shared() const { return lock_; }
  static Lock adopt(bytes::Shared::Id id) { return Lock(bytes::RawLock::adopt(id)); }

 private:
  friend class Condition;
  explicit Lock(bytes::RawLock lock) : lock_(std::move(lock)) {}
  bytes::RawLock lock_;
};

}  // namespace v0
}  // namespace forkful
