// Lock and RLock of users: an OwnerWord, and what a waiter is to learn of an owner that died.
//
// Threads: any thread of any member. A user's lock is not repaired by anybody: only the user knows
// what it guards. So a dead owner is reported, and the lock stays with it until recover() or the
// policy gives it to another one.
#include <cstddef>
#include <forkful/bytes/lock.hpp>

#include "arena/shares.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

struct LockWords {
  sync::OwnerWord word;
  OnOwnerDeath policy;
};

struct RLockWords {
  sync::OwnerWord word;
  OnOwnerDeath policy;
  // Only the owner writes these two, and others read them as figures; so relaxed orders are enough.
  std::atomic<std::uint64_t> thread;  // of the owner: its pthread_self-like identity
  std::atomic<std::uint32_t> depth;
};
static_assert(sizeof(LockWords) == 8 && sizeof(RLockWords) == 24);

// Unique among the threads that a process has at one time; and another one in each member, since
// siblings of a fork have their threads at the same addresses.
std::uint64_t this_thread() {
  static thread_local char place;
  // 2^64 divided by the golden ratio: spreads a small number over all bits.
  constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15;
  return reinterpret_cast<std::uint64_t>(&place) ^ (sync::self().bits * kSpread);
}

Acquired lock(sync::OwnerWord& word, OnOwnerDeath policy, Wait& wait) {
  const auto me = sync::self();
  if (word.try_lock(me)) return Acquired::yes;
  // With Death::take_over even an owner that left in order would lose its lock, so a recovering
  // waiter asks for the report first.
  const auto death = policy == OnOwnerDeath::block ? sync::Death::ignore : sync::Death::report;
  for (;;) {
    switch (word.lock(me, wait, death)) {
      case sync::Locked::yes:
        return Acquired::yes;
      case sync::Locked::timed_out:
        return Acquired::timed_out;
      case sync::Locked::interrupted:
        return Acquired::interrupted;
      case sync::Locked::owner_died:
        break;
    }
    if (policy == OnOwnerDeath::raise) return Acquired::owner_died;
    const auto owner = word.owner();
    if (owner && sync::liveness().end_of(owner) == sync::End::died && word.take_over(owner, me)) {
      return Acquired::yes;
    }
  }
}

// When a member is reaped: a lock of it names somebody that was killed, or that left, from now on,
// and no longer an entry that another member may get. Both kinds begin with the word.
void name_no_dead_owner(arena::Offset object, base::MemberId member, base::MemberId as) {
  arena::at<LockWords>(object + arena::Held::body_at<LockWords>()).word.rename_owner(member, as);
}
static_assert(offsetof(LockWords, word) == offsetof(RLockWords, word) &&
              arena::Held::body_at<LockWords>() == arena::Held::body_at<RLockWords>());
const arena::AtHolderEnd g_lock_end(arena::Kind::lock, name_no_dead_owner);
const arena::AtHolderEnd g_rlock_end(arena::Kind::rlock, name_no_dead_owner);

// One that left in order keeps its lock, as with the standard library.
bool recover_from_dead(sync::OwnerWord& word) {
  const auto owner = word.owner();
  return owner && sync::liveness().end_of(owner) == sync::End::died &&
         word.take_over(owner, sync::self());
}

}  // namespace

RawLock RawLock::create(OnOwnerDeath policy, const Label& label) {
  auto* held = arena::create_object<LockWords>(arena::Kind::lock, label);
  held->body<LockWords>().policy = policy;
  return RawLock(held);
}

RawLock RawLock::adopt(Id id) {
  return RawLock(arena::adopt_object<LockWords>(arena::Kind::lock, id));
}

Acquired RawLock::acquire(Wait& wait) const {
  auto& words = held_->body<LockWords>();
  return lock(words.word, words.policy, wait);
}

bool RawLock::try_acquire() const { return held_->body<LockWords>().word.try_lock(sync::self()); }
bool RawLock::release() const { return held_->body<LockWords>().word.unlock(); }
bool RawLock::locked() const { return bool(held_->body<LockWords>().word.owner()); }
bool RawLock::mine() const { return held_->body<LockWords>().word.owner() == sync::self(); }
std::uint32_t RawLock::release_all() const { return mine() && release() ? 1 : 0; }
bool RawLock::recover() const { return recover_from_dead(held_->body<LockWords>().word); }

RawRLock RawRLock::create(OnOwnerDeath policy, const Label& label) {
  auto* held = arena::create_object<RLockWords>(arena::Kind::rlock, label);
  held->body<RLockWords>().policy = policy;
  return RawRLock(held);
}

RawRLock RawRLock::adopt(Id id) {
  return RawRLock(arena::adopt_object<RLockWords>(arena::Kind::rlock, id));
}

bool RawRLock::mine() const {
  // Race: `thread` can only read as this thread's while this thread holds the lock.
  const auto& words = held_->body<RLockWords>();
  return words.word.owner() == sync::self() &&
         words.thread.load(std::memory_order_relaxed) == this_thread();
}

Acquired RawRLock::acquire(Wait& wait) const {
  auto& words = held_->body<RLockWords>();
  if (mine()) {
    words.depth.fetch_add(1, std::memory_order_relaxed);
    return Acquired::yes;
  }
  const Acquired how = lock(words.word, words.policy, wait);
  if (how == Acquired::yes) {
    words.thread.store(this_thread(), std::memory_order_relaxed);
    words.depth.store(1, std::memory_order_relaxed);
  }
  return how;
}

bool RawRLock::release() const {
  auto& words = held_->body<RLockWords>();
  if (!mine()) return false;
  if (words.depth.load(std::memory_order_relaxed) > 1) {
    words.depth.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  words.depth.store(0, std::memory_order_relaxed);
  words.thread.store(0, std::memory_order_relaxed);
  return words.word.unlock();
}

// For Condition.wait(), which takes the lock again as often.
std::uint32_t RawRLock::release_all() const {
  if (!mine()) return 0;
  const std::uint32_t times = depth();
  held_->body<RLockWords>().depth.store(1, std::memory_order_relaxed);
  (void)release();
  return times;
}

bool RawRLock::held_by_member() const {
  return held_->body<RLockWords>().word.owner() == sync::self();
}

bool RawRLock::locked() const { return bool(held_->body<RLockWords>().word.owner()); }

std::uint32_t RawRLock::depth() const {
  return held_->body<RLockWords>().depth.load(std::memory_order_relaxed);
}

bool RawRLock::recover() const {
  auto& words = held_->body<RLockWords>();
  if (!recover_from_dead(words.word)) return false;
  words.thread.store(this_thread(), std::memory_order_relaxed);
  words.depth.store(1, std::memory_order_relaxed);
  return true;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
