// What a block carries besides its bytes: shares in the objects that its bytes name.
//
//   block   bytes … | entry ──► cargo   ObjectHeader | count | entry, entry, …
//                                                               ▼      ▼
//                                                             queue   lock
//
// A message that names a queue has to hold it: the sender may drop the queue before anybody has
// read the message. So such a message always travels as a block, and the block holds an object of
// its own, the cargo, which holds the others. A block changes hands as one without cargo does, and
// whoever frees it (its reader, the queue that is taken apart, who reaps a dead member) ends its
// one holding in the same commit. A cargo that nobody holds is taken apart step by step as any
// object is, so a kill at any instruction neither leaks a share nor gives it back twice.
//
// The reader adopts what the bytes name while it has the block, and has shares of its own then.
//
// Limit: blocks that lie in each other's queues hold each other. What two queues name of one
// another in messages that nobody reads lives until the family ends.
#pragma once

#include <span>

#include "arena/heap.hpp"

namespace forkful::arena {

// Gives the run, which belongs to this member or to something that this member alone writes, a
// share in each of the objects, all of which this member holds. It keeps what it held. Killed in
// the middle, the run holds the first of them. The run's last kRunEntryBytes must be free.
// Throws: OsError(ENOSPC); the run may hold the first of them then.
void load_cargo(Offset run, std::span<const Offset> objects);

}  // namespace forkful::arena
