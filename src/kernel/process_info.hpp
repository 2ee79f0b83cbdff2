// What the kernel says of a process and of the machine.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/fd.hpp"

namespace forkful::kernel {

int current_pid();

// Whether this process has rights of its program's file that its caller lacks (setuid, setgid,
// capabilities). The caller chose the environment, and must not choose what runs with these rights.
bool has_rights_of_its_file();

// A number of the namespace that this process's process ids are of; 0 where the kernel does not say
// (no /proc). A process id means nothing in another one. Async-signal-safe, as the next three.
std::uint64_t pid_namespace();

// False when no such process runs: it is gone, a zombie, or one that started after `seen_at_ns`
// (CLOCK_BOOTTIME), which then has the pid by reuse.
bool process_runs(int pid, std::int64_t seen_at_ns);

// Whether the process has `file` mapped; true where the kernel does not say. A process that execs
// loses its mappings.
bool process_maps(int pid, const FileId& file);

// How a process went that gave up its memory a moment ago or earlier.
enum class Gone {
  executed,  // it runs another program now
  exited,    // by itself, with whatever code
  killed,    // by a signal
  unknown,   // its parent has waited for it before anybody could look
};
// By its pidfd and by its pid, either of which may be missing (-1, 0). What was not known in time
// by /proc is known by the pidfd. Kernel: of 6.15, PIDFD_GET_INFO tells of a process that was
// waited for.
Gone how_it_went(int pidfd, int pid);

// The exit code, or minus the signal's number, of a process that has been waited for; nullopt where
// the kernel does not say.
std::optional<int> exit_code_of(int pidfd);

// The CPUs this thread may run on, a bit for each; all bits where the kernel knows more than these
// 1,024, or does not say.
struct CpuSet {
  std::uint64_t words[16];
};
CpuSet affinity();

// How many CPUs this thread may run on.
unsigned affinity_count();

// Where the kernel says which cgroups this process is in, and what they grant. A test has files of
// its own.
struct CgroupFiles {
  std::string of_process = "/proc/self/cgroup";
  std::string root = "/sys/fs/cgroup";
};
// CPUs that the quotas of the cgroup and its ancestors grant, rounded up; a large number where
// there is none.
unsigned cgroup_cpus(const CgroupFiles& files = {});

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

// How many threads this process has; 0 without a /proc that tells.
int count_threads();

// As whom this process runs: its user's and group's ids (real, effective, saved), its other groups.
struct User {
  std::array<unsigned, 6> ids{};
  std::vector<unsigned> groups;
  friend bool operator==(const User&, const User&) = default;
};
User this_user();

// What tells a file from another, and from a later version of itself. All 0 where there is none.
struct FileIdentity {
  std::uint64_t device, inode, bytes;
  std::int64_t changed_ns;
};
FileIdentity file_identity(const char* path);

// Kernel: pidfd_open is of 5.3. Throws OsError.
Fd open_pidfd(int pid);
// Empty where the kernel refuses.
Fd try_open_pidfd(int pid);

}  // namespace forkful::kernel
