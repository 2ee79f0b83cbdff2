// A started process as its starter sees it: waiting for it, signalling it, ending it.
//
// Threads: one at a time. The starter's death ends nothing here; what becomes of the child then is
// the orphan rule's (lifelines.hpp). A child is known by its pid until it is reaped, and by a
// pidfd, which the program may close.
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <forkful/bytes/family.hpp>
#include <forkful/bytes/process.hpp>
#include <forkful/errors.hpp>
#include <string>
#include <utility>

#include "arena/membership.hpp"
#include "kernel/child.hpp"
#include "kernel/process_info.hpp"
#include "process/start.hpp"
#include "sync/pace.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {

namespace {

// As Python names them: Process-2, and its first child Process-2:1.
std::string next_name() {
  static std::atomic<int> last{0};
  static std::atomic<int> counted_in{0};  // a fork counts its own
  const int pid = kernel::current_pid();
  // Race: two threads that make this child's first name at once may both begin with 1. Names are
  // for people.
  if (counted_in.exchange(pid) != pid) last.store(0);
  const std::string mine = arena::has_family() ? this_member().name : "";
  const std::string number = std::to_string(last.fetch_add(1) + 1);
  const std::size_t dash = mine.rfind('-');
  const bool nested = dash != std::string::npos &&
                      mine.find_first_not_of("0123456789:", dash + 1) == std::string::npos;
  return "Process-" + (nested ? mine.substr(dash + 1) + ":" : "") + number;
}

}  // namespace

RawProcess RawProcess::start(const Plan& wanted, Entry entry, Bytes payload,
                             const Carried& carried) {
  Plan plan = wanted;
  if (plan.name.empty()) plan.name = next_name();
  const auto start = [&] {
    switch (plan.context) {
      case Context::fork:  // has a share in all that its parent holds
        return process::start_by_fork(plan, entry, payload, carried);
      case Context::forkserver:
        return process::start_by_server(plan, entry, payload, carried);
      default:
        return process::start_by_execution(plan, entry, payload, carried);
    }
  };
  const process::Started child = start();
  return {child.pid, child.member.bits, std::move(plan.name)};
}

RawProcess::RawProcess(int pid, std::uint32_t member, std::string name)
    : pid_(pid), starter_(kernel::current_pid()), member_(member), name_(std::move(name)) {
  // Known from now on, not only when the child has got so far.
  if (member != 0) arena::note_started({member}, pid);
  try {
    watch(kernel::open_pidfd(pid).release());
  } catch (const OsError& error) {
    // It has ended, and somebody else has waited for it.
    if (error.error() == ESRCH) return;
    // Without a descriptor left for it the child could be neither waited for nor ended.
    kernel::end_child(pid);
    arena::process_ended({member});
    throw;
  }
}

RawProcess& RawProcess::operator=(RawProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(pidfd_file_, other.pidfd_file_);
  std::swap(starter_, other.starter_);
  std::swap(member_, other.member_);
  std::swap(exit_code_, other.exit_code_);
  std::swap(name_, other.name_);
  return *this;
}

RawProcess::~RawProcess() { kernel::Fd closed(descriptor()); }

// With which file it is, so that descriptor() notices when the program has closed it and put
// another file there.
void RawProcess::watch(int pidfd) {
  pidfd_ = pidfd;
  const kernel::FileId file = kernel::file_of(pidfd_);
  pidfd_file_[0] = file.device;
  pidfd_file_[1] = file.inode;
}

int RawProcess::descriptor() const {
  const kernel::FileId file{pidfd_file_[0], pidfd_file_[1]};
  return pidfd_ >= 0 && kernel::file_of(pidfd_) == file ? pidfd_ : -1;
}

bool RawProcess::is_ours() const { return pid_ != 0 && starter_ == kernel::current_pid(); }

void RawProcess::require_ours() const {
  if (is_ours()) return;
  if (pid_ == 0) {
    throw Error("this Process was moved from: the one that it was moved to has the child");
  }
  throw Error("only the process that started " + name_ + ", pid " + std::to_string(pid_) +
              ", can wait for it: pid " + std::to_string(starter_));
}

std::optional<int> RawProcess::ended() {
  if (exit_code_) return exit_code_;
  require_ours();
  // The child itself first. If somebody else has reaped it, its pidfd may know the exit code, or
  // the member has noted it before its end.
  const auto exit = kernel::reap_child(pid_);
  if (!exit) return std::nullopt;
  if (exit->known) {
    exit_code_ = exit->code;
    return exit_code_;
  }
  exit_code_ = kernel::exit_code_of(descriptor());
  if (!exit_code_) exit_code_ = arena::noted_exit_code({member_}).value_or(kUnknownExit);
  return exit_code_;
}

// Once: a second call names no member.
void RawProcess::give_back() { arena::process_ended({std::exchange(member_, 0)}); }

std::optional<int> RawProcess::poll() {
  const auto code = ended();
  if (code) give_back();
  return code;
}

bool RawProcess::join(Wait& wait) {
  if (!await_end(wait)) return false;
  give_back();
  return true;
}

// The descriptor, made anew where the program has closed it; -1 where that fails too.
// Requires: nobody has waited for it as far as this process knows, so its pid is its own still.
int RawProcess::watched() {
  if (descriptor() < 0) watch(kernel::try_open_pidfd(pid_).release());
  return descriptor();
}

bool RawProcess::await_end(Wait& wait) {
  sync::Blocking blocking(wait);
  sync::Slices slices(wait);
  while (!ended()) {
    if (slices.expired()) return false;
    blocking.begin();
    // Without a descriptor poll() only sleeps, and the loop asks for the child at the end of each
    // slice.
    const sync::SleepsAt place{sync::SleepsAt::What::process, static_cast<std::uint64_t>(pid_)};
    if (slices.sleep(place,
                     [&](std::int64_t until) { return kernel::wait_for_end(watched(), until); })) {
      continue;
    }
    sync::liveness().slice_ended();
    // It may have been a signal or the end of the slice, which ppoll() does not tell apart.
    if (wait.interrupted(true)) return false;
  }
  return true;
}

void RawProcess::send_signal(int signal) {
  if (exit_code_ || pid_ == 0) return;
  // Reaped here, so that no signal goes to another process with its pid.
  if (is_ours() && ended()) return;
  const int pidfd = is_ours() ? watched() : descriptor();
  if (pidfd < 0 && is_ours()) {
    (void)kernel::signal_child(pid_, signal);
    return;
  }
  if (pidfd < 0) {
    throw Error("this process has closed the descriptor by which it knew " + name_ + ", pid " +
                std::to_string(pid_));
  }
  (void)kernel::send_signal(pidfd, signal);
}

void RawProcess::terminate() {
  send_signal(SIGTERM);
  send_signal(SIGCONT);  // a stopped process takes no other signal
}

void RawProcess::end(std::chrono::nanoseconds grace) {
  try {
    terminate();
    Wait asked(Deadline::in(grace));
    if (!await_end(asked)) send_signal(SIGKILL);
  } catch (const OsError& error) {
    // Its user is another one by now, and it goes when this process is gone.
    if (error.error() == EPERM) return;
    throw;
  }
  // SIGKILL cannot be refused. A process that is stuck in the kernel is waited for.
  Wait forever;
  (void)join(forever);
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
