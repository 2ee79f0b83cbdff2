// What the kernel says of a process and of the machine.
#pragma once

#include <cstdint>

#include "kernel/fd.hpp"

namespace forkful::kernel {

int current_pid();

// False when no such process runs: it is gone, a zombie, or one that started after `seen_at_ns`
// (CLOCK_BOOTTIME), which then has the pid by reuse.
bool process_runs(int pid, std::int64_t seen_at_ns);

// Whether the process has the file of this number (see file_number()) mapped; true where the
// kernel does not say. A process that execs loses its mappings.
bool process_maps(int pid, std::uint64_t file);

// The CPUs this thread may run on, a bit for each; all bits where the kernel knows more than these
// 1,024, or does not say.
struct CpuSet {
  std::uint64_t words[16];
};
CpuSet affinity();

// How many CPUs this thread may run on.
unsigned affinity_count();

// CPUs that the cgroup's quota grants, rounded up; a large number where there is none.
unsigned cgroup_cpus();

// What bounds memory, in bytes; kNoLimit where the kernel does not say. Best effort: memory beyond
// these is OOM-killed, not refused.
inline constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};
struct MemoryLimits {
  std::uint64_t machine;       // MemTotal
  std::uint64_t machine_left;  // MemAvailable
  std::uint64_t cgroup_left;   // below the limit of the tightest cgroup ancestor
};
MemoryLimits memory_limits();

// How often the kernel has killed a process of this cgroup because memory was short; 0 where it
// does not say.
std::uint64_t oom_kills();

// What tells a file from another, and from a later version of itself. All 0 where there is none.
struct FileIdentity {
  std::uint64_t device, inode, bytes;
  std::int64_t changed_ns;
};
FileIdentity file_identity(const char* path);

// Kernel: pidfd_open is of 5.3. Throws OsError.
Fd open_pidfd(int pid);

}  // namespace forkful::kernel
