// Large payloads: blocks of the arena's heap that travel as an offset.
#pragma once

#include <forkful/bytes/message.hpp>

#include "arena/heap.hpp"

namespace forkful::message {

using base::Bytes;
using base::Offset;

// Writes `parts` one behind the other into a new run that belongs to this member.
// Throws: OsError(ENOSPC).
Offset write_block(std::span<const Bytes> parts, std::size_t size);

inline std::size_t total_bytes(std::span<const Bytes> parts) {
  std::size_t size = 0;
  for (const Bytes part : parts) size += part.size();
  return size;
}

}  // namespace forkful::message
