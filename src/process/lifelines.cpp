#include "process/lifelines.hpp"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <mutex>

#include "arena/family.hpp"
#include "kernel/lifeline.hpp"

namespace forkful::process {
namespace {

// Never destroyed: children may be started while static objects die.
struct State {
  std::mutex mutex;  // held across fork
  kernel::PipeEnds own;
  kernel::Fd parent;     // the read end of the parent's pipe, until this process hangs on it
  kernel::Fd root;       // of the root's; empty in the root itself
  MemberId root_member;  // who holds the write end of `root`
  kernel::Fd watch;      // ours, with the signal that ends us
  bool hooked = false;
};

State& state() {
  static State* one = new State;
  return *one;
}

// For the signal handler: which pipe it watches, and whose it is.
std::atomic<int> g_root_pipe{-1};
std::atomic<std::uint32_t> g_root_member{0};

// Touches nothing but atomics in memory that is mapped, and async-signal-safe calls.
void on_root_gone(int) {
  const int pipe = g_root_pipe.load();
  if (pipe < 0 || !kernel::writers_gone(pipe)) return;
  if (!arena::left_in_order({g_root_member.load()})) kernel::kill_self();
}

// In every forked child, whoever forked it. No other thread exists.
void drop_inherited() {
  State& here = state();
  here.own.write.reset();
  here.watch.reset();
  g_root_pipe.store(-1);
  here.parent = std::move(here.own.read);
  // The root's children have one pipe for both.
  if (!here.root) here.root = std::move(here.parent);
}

void hook(State& here) {
  if (here.hooked) return;
  here.hooked = true;
  // The arena's handlers stand before these; it runs drop_inherited() while the mutex is held.
  arena::at_fork_in_child(drop_inherited);
  ::pthread_atfork([] { state().mutex.lock(); }, [] { state().mutex.unlock(); },
                   [] { state().mutex.unlock(); });
}

void hang_on_parent(State& here) {
  const int pipe = here.parent ? here.parent.get() : here.root.get();
  if (pipe < 0) return;
  here.watch = kernel::watch_writers(pipe, SIGKILL);
  if (kernel::writers_gone(here.watch.get())) kernel::kill_self();
}

void hang_on_root(State& here) {
  if (!here.root) return;
  kernel::handle_signal(kernel::lifeline_signal(), on_root_gone);
  here.watch = kernel::watch_writers(here.root.get(), kernel::lifeline_signal());
  g_root_member.store(here.root_member.bits);
  g_root_pipe.store(here.watch.get());
  on_root_gone(0);
}

void hang(State& here, std::uint32_t flags) {
  if ((flags & (arena::kDaemonic | arena::kPoolWorker)) != 0) {
    hang_on_parent(here);
  } else {
    hang_on_root(here);
  }
  here.parent.reset();
}

}  // namespace

Lifelines make_lifelines() {
  State& here = state();
  const std::lock_guard lock(here.mutex);
  hook(here);
  if (!here.own.write) {
    here.own = kernel::make_pipe();
    here.parent.reset();
    if (!here.root) here.root_member = sync::self();
  }
  if (here.root) return {here.own.read.get(), here.root.get(), here.root_member};
  return {here.own.read.get(), here.own.read.get(), here.root_member};
}

void hang_forked(std::uint32_t flags) {
  State& here = state();
  const std::lock_guard lock(here.mutex);
  hang(here, flags);
}

void hang_executed(std::uint32_t flags, const Lifelines& inherited) {
  State& here = state();
  const std::lock_guard lock(here.mutex);
  hook(here);
  for (const int fd : {inherited.root, inherited.parent}) kernel::close_on_exec(fd);
  here.root = kernel::Fd(inherited.root);
  if (inherited.parent != inherited.root) here.parent = kernel::Fd(inherited.parent);
  here.root_member = inherited.root_member;
  hang(here, flags);
}

}  // namespace forkful::process
