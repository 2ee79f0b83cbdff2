// This process's part of the family: the descriptors it keeps, and what it holds.
//
// Threads: whoever has `mutex`. Fork: the mutex is held across it.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "arena/members.hpp"
#include "base/mutex.hpp"
#include "kernel/fd.hpp"
#include "sync/internal_lock.hpp"

namespace forkful::arena {

class Held;

// Other threads wait for this mutex while they have Python's interpreter lock. So whoever has the
// mutex must not give the interpreter lock away, since it could not have it back: it waits for the
// arena's lock by IfStuck::leave, or bare.
class FORKFUL_CAPABILITY("mutex") BareMutex {
 public:
  void lock() FORKFUL_ACQUIRE() {
    mutex_.lock();
    sync::BareWaits::begin();
  }
  void unlock() FORKFUL_RELEASE() {
    sync::BareWaits::end();
    mutex_.unlock();
  }
  // Tells the analysis that the mutex is held where it cannot see that. Does nothing.
  void assume_held() const FORKFUL_ASSERT() {}

 private:
  std::mutex mutex_;
};

// Has the mutex for as long as it exists.
class FORKFUL_SCOPED_CAPABILITY BareGuard {
 public:
  explicit BareGuard(BareMutex& mutex) FORKFUL_ACQUIRE(mutex) : lock_(mutex) {}
  ~BareGuard() FORKFUL_RELEASE() = default;
  BareGuard(const BareGuard&) = delete;
  BareGuard& operator=(const BareGuard&) = delete;

 private:
  std::lock_guard<BareMutex> lock_;
};

// This process's part. Never destroyed: handles may outlive main.
struct Local {
  BareMutex mutex;  // held across fork, so that a child finds the rest whole
  // Written before this process is a member for the first time, and not again; so members read them
  // without the mutex.
  kernel::KeptFd arena;
  kernel::KeptFd liveness;
  std::unordered_map<Offset, Held*> held FORKFUL_GUARDED_BY(mutex);
  std::vector<std::uint64_t> free_entries FORKFUL_GUARDED_BY(mutex);
  // Shares from birth that wait for adoption.
  std::unordered_map<Offset, std::uint64_t> given FORKFUL_GUARDED_BY(mutex);
  std::uint64_t capacity FORKFUL_GUARDED_BY(mutex) = 0;
  MemberId me FORKFUL_GUARDED_BY(mutex);      // as g_self, but a fork does not wipe it
  MemberId forked FORKFUL_GUARDED_BY(mutex);  // reserved by a fork under way
  bool detached FORKFUL_GUARDED_BY(mutex) = false;
  bool hooked FORKFUL_GUARDED_BY(mutex) = false;
  bool watched FORKFUL_GUARDED_BY(mutex) = false;  // g_self is on a page of its own
};
Local& local();

// Who this process is; nobody before its first use of forkful.
// Release and acquire pair with each other: a thread that finds an id finds the arena that it is
// of.
inline void set_self(MemberId me) { sync::self_word().store(me.bits, std::memory_order_release); }
inline MemberId get_self() { return {sync::self_word().load(std::memory_order_acquire)}; }

// Begins to be `me`, which is reserved for this process. Where that fails it is detached.
void become(Local& here, MemberId me) FORKFUL_REQUIRES(here.mutex);
// The child of a raw clone, which no handler of forks saw, becomes a member (membership.cpp).
void join_late(Local& here) FORKFUL_REQUIRES(here.mutex);

// Puts a list of holdings with room for `capacity` in the place of `me`'s, which has room for
// `had`. Throws: OsError(ENOSPC), StuckLock: nothing is changed.
void enlarge_holdings(MemberId me, std::uint64_t had, std::uint64_t capacity,
                      sync::IfStuck if_stuck);
// The places in this member's list of holdings.
// Throws: Error, where another member has written over the list.
Offset entry_at(const Local& here, std::uint64_t index) FORKFUL_REQUIRES(here.mutex);
// A free one. Throws: OsError(ENOSPC), StuckLock: nothing is changed.
std::uint64_t take_entry(Local& here) FORKFUL_REQUIRES(here.mutex);

}  // namespace forkful::arena
