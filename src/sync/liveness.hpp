// Who am I, and who is alive: what the words of this room must know of the family.
//
// The arena answers for real processes; a test that runs members as threads answers for them.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/ids.hpp"

namespace forkful::sync {

using base::MemberId;

enum class End {
  alive,
  left,  // in order: what it still holds stays as it is, as the standard library has it
  died,  // killed, or gone by _exit: what it holds is given back
};

// What a thread sleeps for, as others of the family may be shown it.
struct SleepsAt {
  enum class What : std::uint8_t {
    nothing,
    word,         // one in the arena: `value` is its offset once it is written down
    own_word,     // one of this process: another of its threads has what is waited for
    process,      // its end; `value` is its pid
    descriptors,  // of connections; `value` is the first one
  };
  What what = What::nothing;
  std::uint64_t value = 0;
};

class Liveness {
 public:
  virtual ~Liveness() = default;
  // Makes this process a member; called where self() is asked and nobody has joined yet (the
  // child of a raw clone, which no fork handler saw).
  virtual MemberId join() = 0;
  virtual End end_of(MemberId member) = 0;
  // Whether a spinner would have a CPU of its own.
  virtual bool room_to_spin() = 0;
  // Ahead of a sleep at a word of the family: what a member does for the others now and then. It
  // may wait for internal locks.
  virtual void look_around() = 0;
  // Around each sleep of a thread, so that others may spin on this member's CPU, and may be shown
  // what it sleeps for. A place that is a word has its address as value. The wait of which the
  // sleep is a slice has slept since the monotonic time `since_ns`.
  virtual void begin_sleep(const SleepsAt& place, std::int64_t since_ns) = 0;
  virtual void end_sleep() = 0;
  // A slice of a sleep has passed without a wake-up: the time to look whether the process that this
  // one depends on is gone, of which a signal should have told it.
  virtual void slice_ended() {}
};

// Written by the first use of forkful in this process; other threads may be at theirs. Acquire,
// here and below: pairs with the release stores in arena/membership.cpp, so the object is there.
extern std::atomic<Liveness*> g_liveness;
inline Liveness& liveness() { return *g_liveness.load(std::memory_order_acquire); }

// On a page that reads zero after any fork, from the first use on.
extern std::atomic<std::atomic<std::uint32_t>*> g_self;
inline std::atomic<std::uint32_t>& self_word() { return *g_self.load(std::memory_order_acquire); }

#ifdef FORKFUL_SIMULATION
extern thread_local MemberId t_self;
#endif

inline MemberId self() {
#ifdef FORKFUL_SIMULATION
  if (t_self) return t_self;
#endif
  // Relaxed: the id alone is needed. What another thread has made with it, such as the mapping, is
  // reached by acquire loads of its own.
  const std::uint32_t bits = self_word().load(std::memory_order_relaxed);
  if (__builtin_expect(bits != 0, 1)) return {bits};
  return liveness().join();
}
// Whether this process is that member; none joins by being asked.
inline bool is_self(MemberId member) noexcept {
#ifdef FORKFUL_SIMULATION
  if (t_self) return t_self == member;
#endif
  return self_word().load(std::memory_order_relaxed) == member.bits;
}

}  // namespace forkful::sync
