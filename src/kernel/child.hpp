// Starting processes, waiting for them, ending them.
//
// Threads: any. A child that was started here must be reaped here, or by a pidfd; a program that
// waits for all its children takes our exit codes away, which Exit::known tells.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel/fd.hpp"

namespace forkful::kernel {

// fork(), with the handlers of pthread_atfork. 0 in the child. Throws: OsError.
int fork_process();

// Has `action` called with the exit code when this process exits by exit(). Does nothing where the
// C library has no such call.
void at_exit_with_code(void (*action)(int code));

// Forks this process, which has one thread, into a child of its parent's: getppid() and waitpid()
// work there as if the parent had forked. No fork handlers run. 0 in the child. Throws: OsError.
int fork_sibling();

// Executes `program` (a path) with `arguments`, this environment plus `additions` ("NAME=text"
// each), and the descriptors `kept`, under their own numbers. Returns its pid. Throws: OsError.
// Nothing of the caller runs in the child.
int execute(const std::string& program, const std::vector<std::string>& arguments,
            const std::vector<std::string>& additions, std::span<const int> kept);
// Notes where the program that this process runs lies, while there is a /proc that tells.
void note_own_program();
// A path of that program.
std::string own_program();
// Whether it is a file that this process may execute.
bool is_executable(const std::string& path);

// How a child ended: its exit code, or minus the signal's number.
struct Exit {
  int code = 0;
  bool known = true;  // false: somebody else has waited for it, or SIGCHLD is ignored
};
// Reaps the child `pid` if it has ended. It must be a child that nobody has reaped through here.
std::optional<Exit> reap_child(int pid);
// False where the child `pid` certainly runs still. Reaps nothing.
bool may_have_ended(int pid);
// Reaps the child `pid`, however long that takes.
Exit await_child(int pid);
// To the child `pid`; false where somebody has reaped it, since the pid may be another process's
// then. A child that nobody has reaped keeps its pid.
bool signal_child(int pid, int signal);
// Kills the child `pid`, if it still is one, and reaps it.
void end_child(int pid);

// Waits for the process of `pidfd` to end, until the monotonic time `until_ns`; false when it
// has not, or a signal handler ran.
bool wait_for_end(int pidfd, std::int64_t until_ns);

// To the process of `pidfd`; false when it has ended. Throws: OsError(EPERM).
bool send_signal(int pidfd, int signal);

// Has this process ignore SIGINT; the answer restores what was there.
class IgnoredInterrupts {
 public:
  IgnoredInterrupts();
  void restore();

 private:
  void (*before_)(int);
};

// Of this process. It changes when the parent ends, and says nothing of a parent in another pid
// namespace (0).
int parent_pid();
std::uint64_t file_bytes(int fd);  // 0 where it is no file
// Where the kernel maps a program's memory, unless the program asks for higher addresses: from
// 64 KiB on, within 47 bits on x86-64 and 48 on AArch64, where the stack and libraries have the
// highest bit set.
constexpr bool may_be_address(std::uint64_t word) {
#if defined(__aarch64__)
  constexpr int kBits = 48;
#else
  constexpr int kBits = 47;
#endif
  return word >= 1 << 16 && word < std::uint64_t{1} << kBits;
}
// False where no memory of this process is at `address`.
bool is_mapped(std::uint64_t address);
// Ends this process without exit()'s handlers.
[[noreturn]] void exit_now(int code);

}  // namespace forkful::kernel
