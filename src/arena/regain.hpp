// The family's two files, opened anew where the program has closed our descriptors of them.
#pragma once

#include "kernel/fd.hpp"

namespace forkful::arena {

// The descriptor of `kept`, this process's of the arena or of the members' locks. Where the program
// has taken that away, the file is opened anew: by this process's own mapping, which the kernel
// grants to few, or as another living member has it. -1 where neither is possible.
//
// Threads: any. Not async-signal-safe.
int regain(kernel::KeptFd& kept);

// For errors.
inline constexpr const char* kWhoMayRegain =
    "they can be had again from another living process of the family, or with CAP_SYS_ADMIN";

}  // namespace forkful::arena
