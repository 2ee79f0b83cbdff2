// Waiting for the engine's own locks, which guard short sections of shared memory.
//
// Mostly such a wait is shorter than a sleep. But the owner may be stopped inside its section (by
// SIGSTOP, a debugger, a frozen cgroup), and then the wait lasts until it is continued. A public
// call that waits should not be stuck with all that it has meanwhile, Python's interpreter lock
// above all, and it should end when it is interrupted. So it leaves: StuckLock is thrown, which
// puts down whatever other locks the call has; the call waits outside, as it waits for anything,
// and begins again. Nothing is staged at the places that say IfStuck::leave.
//
// The other places wait where they are, but meanwhile they give away what bytes::AroundWait says,
// so that the rest of the process goes on. A caller never has the lock that it waited for while it
// takes that back. A thread that has a mutex, or is within a fork, says BareWaits: others wait for
// it without giving anything away.
#pragma once

#include "sync/owner_word.hpp"

namespace forkful::sync {

// What to do where an internal lock cannot be taken within kStuckAfter.
enum class IfStuck : bool {
  wait,   // until it is there
  leave,  // throw StuckLock
};

struct StuckLock {
  OwnerWord* word;
};

// Between the two, its thread waits without bytes::AroundWait.
class BareWaits {
 public:
  static void begin() noexcept { ++t_count; }
  static void end() noexcept { --t_count; }
  static bool apply() noexcept { return t_count != 0; }

 private:
  inline static thread_local int t_count = 0;
};

// Takes an internal lock that try_lock() did not get. Returns Locked::yes, or Locked::owner_died
// with the lock taken over: the caller puts right what it guards.
// Throws: StuckLock, with IfStuck::leave.
Locked lock_internally(OwnerWord& word, MemberId me, IfStuck if_stuck);

// Waits until a stuck lock may be had, a tenth of a second at most (it may be stuck again at once).
// A `wait` that polls waits as well: that it could not look is no answer.
Waited await_stuck(const StuckLock& stuck, Wait& wait);

// Calls `step` until it has got through; until then returns what else ended the wait.
template <class Step>
Waited get_through(Wait& wait, Step&& step) {
  for (;;) {
    try {
      step();
      return Waited::done;
    } catch (const StuckLock& stuck) {
      if (const Waited how = await_stuck(stuck, wait); how != Waited::done) return how;
    }
  }
}

// Waits likewise, in a call that nothing ends before.
void await_stuck(const StuckLock& stuck) noexcept;

// Calls `step` until it has got through, and returns its answer.
template <class Step>
auto get_through(Step&& step) {
  for (;;) {
    try {
      return step();
    } catch (const StuckLock& stuck) {
      await_stuck(stuck);
    }
  }
}

}  // namespace forkful::sync
