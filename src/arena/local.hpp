// This process's part of the family: the descriptors it keeps, and what it holds.
//
// Threads: whoever has `mutex`. Fork: the mutex is held across it.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "arena/members.hpp"
#include "kernel/fd.hpp"
#include "sync/internal_lock.hpp"

namespace forkful::arena {

class Held;

// Other threads wait for this mutex while they have Python's interpreter lock. So whoever has the
// mutex must not give the interpreter lock away, since it could not have it back: it waits for the
// arena's lock by IfStuck::leave, or bare.
class BareMutex {
 public:
  void lock() {
    mutex_.lock();
    sync::BareWaits::begin();
  }
  void unlock() {
    sync::BareWaits::end();
    mutex_.unlock();
  }

 private:
  std::mutex mutex_;
};

// This process's part. Never destroyed: handles may outlive main.
struct Local {
  BareMutex mutex;  // held across fork, so that a child finds the rest whole
  kernel::KeptFd arena;
  kernel::KeptFd liveness;
  std::unordered_map<Offset, Held*> held;
  std::vector<std::uint64_t> free_entries;
  std::unordered_map<Offset, std::uint64_t> given;  // shares from birth that wait for adoption
  std::uint64_t capacity = 0;
  MemberId me;      // as g_self, but a fork does not wipe it
  MemberId forked;  // reserved by a fork under way
  bool detached = false;
  bool hooked = false;
  bool watched = false;  // g_self is on a page of its own
};
Local& local();

// Who this process is; nobody before its first use of forkful.
// Release and acquire pair with each other: a thread that finds an id finds the arena that it is
// of.
inline void set_self(MemberId me) { sync::self_word().store(me.bits, std::memory_order_release); }
inline MemberId get_self() { return {sync::self_word().load(std::memory_order_acquire)}; }

// Begins to be `me`, which is reserved for this process. Where that fails it is detached.
void become(Local& here, MemberId me);

// The places in this member's list of holdings. Requires: here.mutex held.
// Throws: Error, where another member has written over the list.
Offset entry_at(const Local& here, std::uint64_t index);
// A free one. Throws: OsError(ENOSPC), StuckLock: nothing is changed.
std::uint64_t take_entry(Local& here);

}  // namespace forkful::arena
