// What the kernel says of a process and of the machine.
#pragma once

#include <cstdint>

#include "kernel/fd.hpp"

namespace forkful::kernel {

int current_pid();

// False when no such process runs: it is gone, a zombie, or one that started after `seen_at_ns`
// (CLOCK_BOOTTIME), which then has the pid by reuse.
bool process_runs(int pid, std::int64_t seen_at_ns);

// The CPUs this thread may run on, the first 64 as bits.
std::uint64_t affinity_mask();

// CPUs that the cgroup's quota grants, rounded up; a large number where there is none.
unsigned cgroup_cpus();

// Bytes that may still be used before MemAvailable or the limit of a cgroup ancestor is reached.
// Best effort: memory beyond a cgroup's limit is OOM-killed, not refused.
std::uint64_t memory_left();

// Kernel: pidfd_open is of 5.3. Throws OsError.
Fd open_pidfd(int pid);

// The linker's build id of the running program, or 0 bytes of it where there is none.
unsigned program_build_id(unsigned char (&id)[20]);

}  // namespace forkful::kernel
