// This process as a member of its family, for code that forks by other means than Process: the
// Python package forks by itself. (Unstable.)
//
//   before_start({.daemonic = true});
//   const pid_t pid = fork();
//   if (pid == 0) { after_start_in_child(); … leave_family(); _exit(0); }
//   const auto member = started();
//   … waitpid(pid) … process_ended(member);
//
// A fork without these calls makes a member as well, one that no orphan rule ends.
#pragma once

#include <cstdint>
#include <forkful/wait.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Joins, too. The file on which each member holds the lock of a byte while it lives: whoever gets
// all of these locks, a member or not, knows that the family is gone. After these bytes the file is
// free for notes of what is to be done then. `fd` is the family's own descriptor, -1 where the
// program has closed it.
// Throws: as join_family().
struct LivenessFile {
  int fd;
  std::uint64_t locks;  // how many bytes may be locked, from the first on
};
LivenessFile liveness_file();

// What ends the child when its elders end. With neither, it is a plain Process: it goes when the
// family's root dies abnormally, and outlives a root that leaves in order.
struct ForkPlan {
  bool daemonic = false;     // goes when its parent goes
  bool pool_worker = false;  // likewise
  std::string name = {};     // for people; of 31 bytes at most, the rest is cut off
};

// Makes this process a member; the first one of a family makes its arena. Every call that needs a
// family does this by itself.
// Throws: OsError; Error, in a child whose family had no room for it.
void join_family();

// Makes this process, which was re-executed with the descriptors of a family's arena, the member
// that its parent has reserved a place for.
// Throws: LayoutMismatch, where the arena is of another layout; Error, where this process is not
// the one that was invited, or is a member already; OsError.
void accept_invitation(int arena_fd, int liveness_fd, std::uint32_t member, std::uint64_t nonce);

// Says what the next fork of this thread starts, and makes the lifeline it will hang on.
// Throws: OsError(EMFILE), OsError(ENOSPC): nothing was changed.
void before_start(const ForkPlan& plan);

// fork(), for callers that make no system calls themselves: calls before(), and in the parent
// after(pid). 0 in the child. While a stopped member has the lock of the family's memory it tries
// again, with after(-1) after each attempt that made no child. -1: `wait` was interrupted between
// two attempts; nothing is left of before_start() then.
// Throws: OsError, after after(-1): likewise.
int fork_process(const std::function<void()>& before, const std::function<void(int pid)>& after,
                 Wait& wait);

// In the parent, right after the fork, in the thread that forked; also when fork() itself failed
// (then hand the answer to process_ended()). Returns the child's id as a member; 0 where the
// family had no room, in which case the child can use nothing of forkful.
std::uint32_t started();

// In the child, right after the fork. Ends this process at once when the parent is gone already.
// Throws: OsError, Error: the child is no member and should exit.
void after_start_in_child();

// Gives back what a child held. Call once its process has been waited for.
void process_ended(std::uint32_t member);

// An orderly end, as exit() makes it: locks this process holds stay locked, plain children live on.
void leave_family();
// Likewise, with the exit code that will follow, for a parent that cannot learn it from the kernel.
void leave_family(int exit_code);
// Ends this process as _exit() does, and says before that it is no death: plain children live on,
// though locks it holds are reported as those of a process that died. exit(), quick_exit() and the
// execution of another program are told apart from a death by themselves.
[[noreturn]] void exit_now(int exit_code);

// A process of the family.
struct MemberInfo {
  std::string name;  // "MainProcess" for one that nobody named
  int pid;
  bool daemonic;
  bool pool_worker;
};
MemberInfo this_member();
// Who started this process; nullopt for the family's root, and for one whose parent is gone.
std::optional<MemberInfo> parent_member();
// Those that this process has started and that run. Threads: any.
std::vector<MemberInfo> child_members();

// CPUs that this process may use: its affinity mask, within the cgroup's quota. At least 1.
[[nodiscard]] unsigned default_cpu_count();

// The arena, as it is now.
struct HeapUse {
  std::uint64_t bytes_used;    // in blocks and objects, by whole pages
  std::uint64_t bytes_warm;    // free, and still in memory
  std::uint64_t bytes_mapped;  // address space of the windows opened so far
  std::uint32_t members;       // living members of the family
};
// All zero before there is a family. Threads: any.
[[nodiscard]] HeapUse heap_use();

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
