// What a member's entry in the table says about why its process was started.
#pragma once

#include <cstdint>

namespace forkful::process {

// The flags of a process that is started so; a Process that is neither is a plain one.
std::uint32_t flags_of(bool daemonic, bool pool_worker);

}  // namespace forkful::process
