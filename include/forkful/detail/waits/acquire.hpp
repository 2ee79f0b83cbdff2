// What a lock's caller is told of how its wait ended: one translation, for Lock, RLock, Condition
// and their guards.
#pragma once

#include <forkful/bytes/lock.hpp>
#include <forkful/errors.hpp>

namespace forkful {
inline namespace v0 {
namespace detail {

// True: held. False: not in time, or interrupted. Throws: LockOwnerDied.
template <class Raw>
bool acquire(const Raw& lock, Wait& wait) {
  switch (lock.acquire(wait)) {
    case bytes::Acquired::yes:
      return true;
    case bytes::Acquired::owner_died:
      throw LockOwnerDied(
          "the process that held the " + lock.called("lock") +
          " died while holding it, so what the lock guards may be half-changed; recover() takes "
          "the lock over");
    default:
      return false;
  }
}

template <class Raw>
bool acquire(const Raw& lock, Deadline deadline) {
  Wait wait(deadline);
  return acquire(lock, wait);
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
