// Locks that know their owner. (Unstable; see lock.hpp and rlock.hpp for std::unique_lock's kind.)
#pragma once

#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>

namespace forkful {
inline namespace v0 {
namespace bytes {

enum class [[nodiscard]] Acquired { yes, timed_out, interrupted, owner_died };

// What a waiter is to learn of an owner that died abnormally while holding the lock.
enum class OnOwnerDeath : std::uint32_t {
  raise,    // Acquired::owner_died; the lock is not held, recover() takes it
  recover,  // it gets the lock
  block,    // nothing: it waits, as with the standard library
};

// Threads: any thread of any member; a member may release what another has acquired.
class RawLock : public Shared {
 public:
  RawLock() = default;
  static RawLock create(OnOwnerDeath policy = OnOwnerDeath::raise, const Label& label = {});
  static RawLock adopt(Id id);

  Acquired acquire(Wait& wait) const;
  [[nodiscard]] bool try_acquire() const;
  // False when it was not locked.
  [[nodiscard]] bool release() const;
  [[nodiscard]] bool locked() const;
  // Whether this member holds it; which of its threads, the lock does not know.
  [[nodiscard]] bool mine() const;
  // Releases it, if it is mine(). Returns how often it was held: 1, or 0 where it was not.
  [[nodiscard]] std::uint32_t release_all() const;
  // Takes the lock from an owner that died; false when it has none such (any more).
  [[nodiscard]] bool recover() const;

 private:
  using Shared::Shared;
};

// A lock that its thread may acquire again.
class RawRLock : public Shared {
 public:
  RawRLock() = default;
  static RawRLock create(OnOwnerDeath policy = OnOwnerDeath::raise, const Label& label = {});
  static RawRLock adopt(Id id);

  Acquired acquire(Wait& wait) const;
  // False when this thread does not hold it.
  [[nodiscard]] bool release() const;
  [[nodiscard]] bool locked() const;
  [[nodiscard]] bool mine() const;
  // Whether a thread of this member holds it.
  [[nodiscard]] bool held_by_member() const;
  [[nodiscard]] std::uint32_t depth() const;
  // Releases it however often this thread holds it. Returns how often that was; 0: not at all.
  [[nodiscard]] std::uint32_t release_all() const;
  [[nodiscard]] bool recover() const;

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
