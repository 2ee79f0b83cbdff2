// What a block carries besides its bytes: shares in the objects that its bytes name.
//
//   block   bytes … | entry ──► cargo   ObjectHeader | count | entry, entry, …
//                                                               ▼      ▼
//                                                             queue   lock
//
// A message that names a queue has to hold it: the sender may drop the queue before anybody has
// read the message. So such a message always travels as a block, and the block holds an object of
// its own, the cargo, which holds the others. A block changes hands as one without cargo does, and
// whoever frees it (its reader, the queue that is taken apart, whoever reaps a dead member) ends
// its one holding in the same commit. A cargo that nobody holds is taken apart step by step as any
// object is, so a kill at any instruction neither leaks a share nor gives it back twice.
//
// The reader adopts what the bytes name while it has the block, and has shares of its own then.
//
// A message through a socket has no block. Its cargo, a parcel, is held by its sender, is pinned
// while it is on its way, and is let go by whoever receives it. One that never arrives is kept
// until the family ends.
//
// Limit: blocks that lie in each other's queues hold each other. What two queues name of one
// another in messages that nobody reads lives until the family ends.
#pragma once

#include <span>

#include "arena/heap.hpp"

namespace forkful::arena {

class Held;

// Gives the run, which belongs to this member or to something that this member alone writes, a
// share in each of the objects, all of which this member holds. It keeps what it held. Killed in
// the middle, the run holds the first of them. The run's last kRunEntryBytes must be free.
// Throws: OsError(ENOSPC); sync::StuckLock, with IfStuck::leave. The run may hold the first of them
// then, and it may be called again: an object that is held twice is given back twice.
void load_cargo(Offset run, std::span<const Offset> objects,
                sync::IfStuck if_stuck = sync::IfStuck::wait);

// A cargo that this member holds. Throws: OsError(ENOSPC).
Held* make_parcel(std::span<const Offset> objects);
void send_parcel(Offset parcel);
// Lets go of it; does nothing where it is none, or not on its way.
void end_parcel(Offset parcel, std::uint64_t serial);

}  // namespace forkful::arena
