// A real arena for the protocols that need one: the process of a batch is its first member, and the
// members of a schedule are known to nobody else.
#pragma once

#include <forkful/bytes/shared.hpp>

#include "arena/heap.hpp"
#include "arena/shares.hpp"
#include "channel/ring.hpp"

namespace forkful::schedules {

// The body of an object. Shares its window of memory with the simulation, where that is new.
template <class T>
T& body_of(const bytes::Shared& shared) {
  return arena::at<T>(shared.id().offset + arena::Held::body_at<T>());
}

// Once a process: all of the arena's first window is shared memory.
void share_arena();

// After a schedule: the arena's journal is as whoever takes over from the dead leaves it.
void repair_arena();

// Frees what a ring has, and makes its words those of a new one. Where somebody has died in it,
// what it has is left to the arena.
void renew(channel::RingWords& words, base::Offset at, bool free_all);

}  // namespace forkful::schedules
