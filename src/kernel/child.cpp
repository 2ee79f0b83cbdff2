// Starting, reaping and signalling children.
//
// These run in any thread of a member; fork_process() and fork_sibling() return a second time in
// the child. Nothing here knows of the arena: process/ decides what a child is and tells the
// family, and a process that is killed in the middle leaves at most a child, which its own lifeline
// then tells.
#include "kernel/child.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <ctime>
#include <limits>

#include "kernel/clock.hpp"
#include "kernel/error.hpp"
#include "kernel/memfd.hpp"
#include "kernel/signals.hpp"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

namespace forkful::kernel {
namespace {

// Better than any name: it leads to the program also when the file was moved or replaced since.
constexpr const char* kProgramLink = "/proc/self/exe";

// Never destroyed: processes may be started while static objects die. Written by init() alone.
std::string& noted_program() {
  static auto* path = new std::string;
  return *path;
}

// posix_spawn's list of what happens to descriptors.
class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  // Onto itself: glibc then clears close-on-exec, in the child only. (glibc 2.29)
  void keep(int fd) {
    const int error = ::posix_spawn_file_actions_adddup2(&actions_, fd, fd);
    if (error != 0) throw_error(error, "posix_spawn_file_actions_adddup2", "a descriptor");
  }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

// posix_spawn's attributes: the child's mask of signals, where it is not this thread's.
class Attributes {
 public:
  Attributes() {
    ::posix_spawnattr_init(&attributes_);
    const sigset_t* mask = mask_of_children();
    if (mask == nullptr) return;
    ::posix_spawnattr_setsigmask(&attributes_, mask);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  [[nodiscard]] const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

// As waitpid() reports it. A core dump counts as the signal that caused it.
Exit exit_in(int status) {
  if (WIFSIGNALED(status)) return {-WTERMSIG(status)};
  return {WEXITSTATUS(status)};
}

}  // namespace

int fork_process() {
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("fork", "this process");
  // A pool's own threads block every signal (see BlockedSignals), and the child would inherit that.
  if (const sigset_t* mask = mask_of_children(); pid == 0 && mask != nullptr) {
    ::pthread_sigmask(SIG_SETMASK, mask, nullptr);
  }
  return pid;
}

void at_exit_with_code([[maybe_unused]] void (*action)(int code)) {
#ifdef __GLIBC__
  ::on_exit([](int code, void* what) { reinterpret_cast<void (*)(int)>(what)(code); },
            reinterpret_cast<void*>(action));
#endif
}

int fork_sibling() {
  // Why not fork(): a child of this server would have the server as its parent, and its starter
  // could neither wait for it nor be told of its end. CLONE_PARENT is nothing that fork() offers.
  // glibc keeps the thread's id and its list of robust mutexes in places that only fork() tends;
  // the kernel knows both.
  int* thread_id = nullptr;
  void* robust_list = nullptr;
  std::size_t robust_bytes = 0;
  unsigned long flags = CLONE_PARENT | SIGCHLD;
  if (::prctl(PR_GET_TID_ADDRESS, &thread_id, 0, 0, 0) == 0 && thread_id != nullptr) {
    flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  }
  const bool robust = ::syscall(SYS_get_robust_list, 0, &robust_list, &robust_bytes) == 0;
#if defined(__x86_64__)
  const long pid = ::syscall(SYS_clone, flags, nullptr, nullptr, thread_id, nullptr);
#else  // the last two the other way round
  const long pid = ::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, thread_id);
#endif
  if (pid < 0) throw_errno("clone", "this process");
  // fork() would do so: without it the kernel does not know of the robust mutexes that the child
  // takes.
  if (pid == 0 && robust) ::syscall(SYS_set_robust_list, robust_list, robust_bytes);
  return static_cast<int>(pid);
}

int execute(const std::string& program, const std::vector<std::string>& arguments,
            const std::vector<std::string>& additions, std::span<const int> kept) {
  FileActions actions;
  for (const int fd : kept) actions.keep(fd);
  const Attributes attributes;
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  // The additions come last, and getenv() finds the first of a name. None of ours is in the
  // environment any more: whoever reads a marker takes it out.
  std::vector<char*> environment;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    environment.push_back(*each);
  }
  for (const std::string& each : additions) environment.push_back(const_cast<char*>(each.c_str()));
  environment.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(),
                                  argv.data(), environment.data());
  if (error != 0) throw_error(error, "posix_spawn", program);
  return pid;
}

void note_own_program() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = ::readlink(kProgramLink, path.data(), path.size() - 1);
  if (length > 0) noted_program() = path.data();
}

std::string own_program() {
  if (is_executable(kProgramLink)) return kProgramLink;
  // No /proc any more, or this user may not read the file: by its name, which says what is wrong.
  if (!noted_program().empty()) return noted_program();
  const auto* name = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  return name != nullptr ? name : kProgramLink;
}

bool is_executable(const std::string& path) {
  struct stat about{};
  return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

// An error means that somebody else has reaped it, or that SIGCHLD is ignored: it has ended then,
// as far as this process can still learn.
bool may_have_ended(int pid) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) return true;
  return info.si_pid != 0;
}

std::optional<Exit> reap_child(int pid) {
  int status = 0;
  pid_t got = 0;
  do {
    got = ::waitpid(pid, &status, WNOHANG);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return std::nullopt;
  if (got < 0) return Exit{0, false};
  return exit_in(status);
}

Exit await_child(int pid) {
  int status = 0;
  pid_t got = 0;
  do {
    got = ::waitpid(pid, &status, 0);
  } while (got < 0 && errno == EINTR);
  return got < 0 ? Exit{0, false} : exit_in(status);
}

// WNOWAIT leaves the child as it is. Only our own child is sure to keep its pid until it is reaped,
// so a pid for which waitid() fails may belong to anybody by now.
bool signal_child(int pid, int signal) {
  siginfo_t about{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &about, WEXITED | WNOHANG | WNOWAIT) != 0) {
    return false;
  }
  return ::kill(pid, signal) == 0;
}

void end_child(int pid) {
  if (signal_child(pid, SIGKILL)) (void)await_child(pid);
}

// A time that is over polls once, since `left` is zero then.
bool wait_for_end(int pidfd, std::int64_t until_ns) {
  pollfd look{pidfd, POLLIN, 0};
  timespec left{};
  timespec* limit = nullptr;
  if (until_ns != std::numeric_limits<std::int64_t>::max()) {
    const std::int64_t left_ns = until_ns - monotonic_ns();
    if (left_ns > 0) {
      left.tv_sec = left_ns / 1'000'000'000;
      left.tv_nsec = left_ns % 1'000'000'000;
    }
    limit = &left;
  }
  return ::ppoll(&look, 1, limit, nullptr) == 1;
}

bool send_signal(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return true;
  // The process has ended and was reaped. A zombie takes the signal and answers 0.
  if (errno == ESRCH) return false;
  throw_errno("pidfd_send_signal", "a child");
}

IgnoredInterrupts::IgnoredInterrupts() : before_(::signal(SIGINT, SIG_IGN)) {}
void IgnoredInterrupts::restore() { ::signal(SIGINT, before_); }

int parent_pid() { return ::getppid(); }

std::uint64_t file_bytes(int fd) {
  struct stat about{};
  if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return 0;
  return static_cast<std::uint64_t>(about.st_size);
}

// mincore() looks at the page's entry and not at its bytes, so an address of nothing is an error
// and never a fault.
bool is_mapped(std::uint64_t address) {
  const std::uint64_t page = page_bytes();
  unsigned char resident = 0;
  return ::mincore(reinterpret_cast<void*>(address / page * page), 1, &resident) == 0;
}

void exit_now(int code) { ::_exit(code); }

}  // namespace forkful::kernel
