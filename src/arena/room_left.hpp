// Whether the machine and its cgroups have room for what the arena is about to use.
//
// A page of the arena costs memory when it is first touched, and where there is none left the
// kernel kills. So the limits are looked at ahead of that, while a reserve is left: each time some
// more pages than those of the last look are about to be used.
#pragma once

#include <cstdint>

#include "arena/journal.hpp"

namespace forkful::arena {

// Throws: OsError(ENOSPC) where `pages` more would leave less than the reserve.
void check_room(Journal& journal, std::uint64_t pages);
// Stages that `pages` went back to the kernel. Others may take them, so the limits are looked at
// again before the arena uses as many.
void stage_unchecked(Journal& journal, std::uint64_t pages);

}  // namespace forkful::arena
