// Large payloads, and those that name objects: blocks of the arena's heap that travel as an offset.
#pragma once

#include <forkful/bytes/message.hpp>
#include <forkful/bytes/shared.hpp>

#include "arena/own_run.hpp"

namespace forkful::message {

using base::Bytes;
using base::Offset;

// Writes `parts` one after the other into a new run that belongs to this member and holds `shares`,
// but not the object `but`.
// Throws: OsError(ENOSPC); nothing is left then.
Offset write_block(std::span<const Bytes> parts, std::size_t size, bytes::Shares shares = {},
                   Offset but = 0);
// Likewise, into `run`, which is empty or what an earlier attempt has left there.
// Throws: OsError(ENOSPC); sync::StuckLock, with IfStuck::leave.
void write_block(arena::OwnRun& run, std::span<const Bytes> parts, std::size_t size,
                 bytes::Shares shares, Offset but, sync::IfStuck if_stuck);

// Has a run that this member alone writes hold the shares too. Its last arena::kRunEntryBytes must
// be free. Throws: as arena::load_cargo().
void hold_shares(Offset run, bytes::Shares shares, Offset but = 0,
                 sync::IfStuck if_stuck = sync::IfStuck::wait);

inline std::size_t total_bytes(std::span<const Bytes> parts) {
  std::size_t size = 0;
  for (const Bytes part : parts) size += part.size();
  return size;
}

}  // namespace forkful::message
