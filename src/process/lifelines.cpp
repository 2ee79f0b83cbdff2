// The orphan rule as each process carries it out for itself; lifelines.hpp has the rule, and
// LIFELINES.md the descriptors, forks and deaths.
//
// Two kinds of callers: starts and their children, in ordinary threads under the mutex; and the
// look at the elder, from a signal's handler or at the end of a slice of any sleep, which takes no
// lock.
#include "process/lifelines.hpp"

#include <atomic>
#include <cerrno>

#include "arena/at_fork.hpp"
#include "arena/membership.hpp"
#include "base/mutex.hpp"
#include "kernel/child.hpp"
#include "kernel/clock.hpp"
#include "kernel/fault.hpp"
#include "kernel/lifeline.hpp"
#include "kernel/process_info.hpp"

namespace forkful::process {
namespace {

// Never destroyed: children may be started while static objects die.
struct Local {
  base::Mutex mutex;  // held across fork
  // What hangs on this process: its pipe, and a pidfd of itself.
  kernel::KeptFd read FORKFUL_GUARDED_BY(mutex);
  kernel::KeptFd write FORKFUL_GUARDED_BY(mutex);
  kernel::KeptFd self FORKFUL_GUARDED_BY(mutex);
  // What this process hangs on, and hands to its children; both of the root's are empty in a root.
  // The read end of the parent's pipe is here until `watch` is made of it.
  kernel::KeptFd parent FORKFUL_GUARDED_BY(mutex);
  kernel::KeptFd root FORKFUL_GUARDED_BY(mutex);
  MemberId root_member FORKFUL_GUARDED_BY(mutex);
  bool hooked FORKFUL_GUARDED_BY(mutex) = false;

  // For the signal's handler, which takes no lock; written before g_hung is, and not again.
  kernel::KeptFd root_process;  // the root's pidfd, for children as well; it outlives the root
  MemberId elder;
  int pid = 0;               // this process: the child of a raw clone hangs on nobody
  int elder_pid = 0;         // where the elder is this process's parent to the kernel, else 0
  bool with_parent = false;  // goes whatever the end of `elder` was
  kernel::KeptFd watch;      // a pipe of the elder's
  kernel::KeptFd waker;      // the same pipe: continues this process in case it is stopped
  std::atomic<bool> pipe_lost{false};
};

Local& local() {
  static Local* one = new Local;
  return *one;
}

// What this process hangs on; null where that is nobody.
std::atomic<Local*> g_hung{nullptr};

bool is_gone(MemberId elder) { return arena::end_of(elder) != sync::End::alive; }

// Whether the kernel has given this process another parent, which it tells whatever the elder's
// entry in the arena says, and however damaged that is.
bool has_lost_parent(const Local& here) {
  return here.elder_pid != 0 && kernel::parent_pid() != here.elder_pid;
}

// A process that dies closes its pipe a moment before its lock is seen to be free, or after that.
// A pipe without a writer whose owner lives on is one that the program has closed.
// Where there is no pipe (without /proc it cannot be watched), a signal is taken for the news: the
// kernel sends it just before its parent's process counts as ended.
bool is_gone_by_now(Local& here, bool signalled) {
  // A millisecond apart. A guess: the kernel closes a dying process's files and its memory's lock
  // within a few milliseconds of each other.
  constexpr int kLooks = 20;
  for (int look = 0; look < kLooks; ++look) {
    if (has_lost_parent(here) || is_gone(here.elder)) return true;
    const int watch = here.watch.get();
    const bool may_be = watch >= 0 ? kernel::writers_gone(watch) : signalled;
    if (!may_be || here.pipe_lost.load()) return false;
    kernel::pause_ms(1);
  }
  here.pipe_lost.store(here.watch.get() >= 0);
  return false;
}

bool was_killed(Local& here) {
  if (arena::ended_wilfully(here.elder)) return false;
  const kernel::Gone how =
      kernel::how_it_went(here.root_process.get(), arena::pid_seen_here(here.elder));
  return how == kernel::Gone::killed || how == kernel::Gone::unknown;
}

// Touches nothing but what does not change, atomics, and async-signal-safe calls.
void look_at_elder(bool signalled) {
  // Acquire: pairs with the release in hang(), so the words for the handler are there.
  Local* here = g_hung.load(std::memory_order_acquire);
  if (here == nullptr || here->pid != kernel::current_pid()) return;
  if (!is_gone_by_now(*here, signalled)) return;
  if (here->with_parent || was_killed(*here)) kernel::kill_self();
  // This process depends on nobody from now on, and is the root of what it starts.
  g_hung.store(nullptr, std::memory_order_release);
}

void look_at_slice_end() { look_at_elder(false); }

void on_signal(int) {
  // A handler must not change the errno of the code that it interrupts.
  const int error = errno;
  look_at_elder(true);
  errno = error;
}

// This process is a root from now on. It keeps `root_process`, which the handler may be reading.
void forget_root(Local& here) FORKFUL_REQUIRES(here.mutex) {
  here.root.reset();
  here.root_member = {};
}

// In every forked child, whoever forked it. No other thread exists.
void drop_inherited() {
  Local& here = local();
  here.mutex.assume_held();  // see arena::at_fork()
  g_hung.store(nullptr);
  here.write.reset();
  here.watch.reset();
  here.waker.reset();
  // A process that found no place in the family hangs on nobody: it can use nothing of it.
  const MemberId me = arena::has_family() ? sync::self() : MemberId{};
  if (!me || arena::member(me).flags.load() == 0) {
    here.read.reset();
    here.self.reset();
    here.root_process.reset();
    forget_root(here);
    return;
  }
  // What was the parent's own pipe is now the pipe of this process's parent.
  here.parent = std::move(here.read);
  if (!here.root_member) {
    // Its parent is the root: the pipe serves for both.
    here.root = std::move(here.parent);
    here.root_process = std::move(here.self);
    here.root_member = MemberId{arena::member(me).parent.load()};
  }
  here.self.reset();
}

void hook(Local& here) FORKFUL_REQUIRES(here.mutex) {
  if (here.hooked) return;
  here.hooked = true;
  arena::at_fork(here.mutex, drop_inherited);
}

// Requires: this process hangs on nobody yet.
void hang(Local& here, std::uint32_t flags) FORKFUL_REQUIRES(here.mutex) {
  here.pid = kernel::current_pid();
  here.with_parent = (flags & (arena::kDaemonic | arena::kPoolWorker)) != 0;
  here.elder =
      here.with_parent ? MemberId{arena::member(sync::self()).parent.load()} : here.root_member;
  const int parent = kernel::parent_pid();
  here.elder_pid = arena::pid_seen_here(here.elder) == parent ? parent : 0;
  here.pipe_lost.store(false);
  const int pipe = here.with_parent && here.parent ? here.parent.get() : here.root.get();
  const int signal = kernel::lifeline_signal();
  kernel::handle_signal(signal, on_signal);
  kernel::watch_parent(signal);
  if (pipe >= 0) {
    here.watch = kernel::KeptFd(kernel::watch_writers(pipe, signal));
    here.waker = kernel::KeptFd(kernel::watch_writers(pipe, kernel::continuing_signal()));
  }
  // Not needed any more: `watch` and `waker` are the same pipe, opened anew.
  here.parent.reset();
  // Release: pairs with the acquire in look_at_elder(). From here on the handler acts.
  g_hung.store(&here, std::memory_order_release);
  arena::at_slice_end(look_at_slice_end);
  look_at_elder(false);  // it may have gone before anybody could have told
}

}  // namespace

Lifelines make_lifelines() {
  Local& here = local();
  const base::Guard lock(here.mutex);
  hook(here);
  if (!here.read || !here.write) {
    kernel::PipeEnds ends = kernel::make_lifeline();
    here.read = kernel::KeptFd(std::move(ends.read));
    here.write = kernel::KeptFd(std::move(ends.write));
  }
  if (!here.self) here.self = kernel::KeptFd(kernel::try_open_pidfd(kernel::current_pid()));
  look_at_elder(false);
  FORKFUL_FAULT("lifelines.looked");
  // A root that has exited leaves this process as the root of what it starts.
  if (here.root_member && is_gone(here.root_member)) forget_root(here);
  if (!here.root_member) {
    return {here.read.get(), here.read.get(), here.self.get(), sync::self()};
  }
  return {here.read.get(), here.root.get(), here.root_process.get(), here.root_member};
}

void hang_forked(std::uint32_t flags) {
  Local& here = local();
  const base::Guard lock(here.mutex);
  hang(here, flags);
}

void hang_executed(std::uint32_t flags, const Lifelines& inherited) {
  Local& here = local();
  const base::Guard lock(here.mutex);
  hook(here);
  // In a clone of the fork server: what that hangs on, and what would hang on it, is not this
  // one's.
  g_hung.store(nullptr);
  for (kernel::KeptFd* each :
       {&here.read, &here.write, &here.self, &here.parent, &here.watch, &here.waker}) {
    each->reset();
  }
  const auto take = [](int fd) {
    if (fd < 0) return kernel::KeptFd();
    kernel::close_on_exec(fd);
    return kernel::KeptFd(kernel::Fd(fd));
  };
  here.root = take(inherited.root);
  here.root_process = take(inherited.root_process);
  if (inherited.parent != inherited.root) here.parent = take(inherited.parent);
  here.root_member = inherited.root_member;
  hang(here, flags);
}

}  // namespace forkful::process
