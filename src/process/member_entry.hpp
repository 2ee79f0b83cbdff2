// What a member's entry in the table says about its process: why it was started, and its name.
#pragma once

#include <cstdint>
#include <string>

#include "arena/layout.hpp"

namespace forkful::process {

// The flags of a process that is started so; a Process that is neither is a plain one.
std::uint32_t flags_of(bool daemonic, bool pool_worker);

// The name, copied and ended: any member may have written over it, and have left no end.
std::string name_in(const arena::Member& entry);

}  // namespace forkful::process
