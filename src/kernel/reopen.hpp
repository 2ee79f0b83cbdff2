// Opening a file anew that has no path, for a process whose program has closed our descriptor of
// it.
//
// Threads: any. Both need /proc.
#pragma once

#include <cstdint>

#include "kernel/fd.hpp"

namespace forkful::kernel {

// By a mapping of this process's. Empty where there is none, and where the kernel refuses: it asks
// for CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN.
Fd open_mapped(const FileId& file);

// By a descriptor that another process has of it. Empty where that has none, and where this
// process may not look into it, as with one of another user.
Fd open_as_in(int pid, const FileId& file);

// The eight bytes of the file at `offset`; 0 where it has none.
std::uint64_t word_in(int fd, std::uint64_t offset);

}  // namespace forkful::kernel
