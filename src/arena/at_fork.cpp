// What this process does before and after each fork, its own or the program's. The handlers run in
// the thread that forks; in the child no other thread exists.
//
// A parent that is killed between the reservation and the fork leaves a reserved member, which a
// sweep gives back. A child that finds no place in the family is detached: it can use nothing of
// forkful.
#include "arena/at_fork.hpp"

#include <pthread.h>

#include <array>
#include <atomic>
#include <forkful/errors.hpp>

#include "arena/local.hpp"
#include "arena/member_name.hpp"
#include "arena/membership.hpp"
#include "arena/windows.hpp"
#include "base/check.hpp"
#include "kernel/child.hpp"
#include "kernel/fault.hpp"

namespace forkful::arena {
namespace {

using sync::IfStuck;

thread_local std::uint32_t t_fork_flags = 0;
thread_local std::string t_fork_name;
thread_local MemberId t_last_forked;
// Where a fork under way says that the arena's lock is stuck; without it, it waits.
thread_local sync::StuckLock* t_fork_stuck = nullptr;

void reserve_for_child(Local& here) FORKFUL_REQUIRES(here.mutex) {
  if (here.capacity == 0 || here.detached) return;
  try {
    if (!get_self()) join_late(here);
    // A fork by fork_process() has swept before, where it could wait.
    if (t_fork_stuck == nullptr) sweep_members(get_self(), here.liveness.get());
    const auto if_stuck = t_fork_stuck != nullptr ? IfStuck::leave : IfStuck::wait;
    here.forked = reserve_member(t_fork_flags, get_self(), get_self(), if_stuck);
    name_member(here.forked, t_fork_name);
    FORKFUL_FAULT("start.invited");
  } catch (const sync::StuckLock& stuck) {
    *t_fork_stuck = stuck;
  } catch (const std::exception&) {
    // Why: no place or no memory for another member; the child says so at its first use.
  }
}

// What other rooms do at a fork. Entries are written under this process's mutex and counted after
// that, so that before_fork() can read them before it has the mutex.
struct Hook {
  base::Mutex* held;
  void (*in_child)();
};
constexpr std::size_t kMostHooks = 4;  // lifelines and the start server have one each
std::array<Hook, kMostHooks> g_hooks;
std::atomic<std::size_t> g_hooks_made{0};
std::size_t g_hooks_held = 0;  // by the fork under way: more may be made meanwhile

// Not analysed: which mutexes the hooks have is known at run time only, and those and this
// process's are let go after the fork, by unlock_hooks() in the parent and in the child.
void lock_hooks(Local& here) FORKFUL_ACQUIRE(here.mutex) FORKFUL_NO_THREAD_SAFETY_ANALYSIS {
  // Acquire: pairs with the release in at_fork().
  const std::size_t count = g_hooks_made.load(std::memory_order_acquire);
  // The order of locks: other rooms' mutexes, this process's, the mapping's; see JOURNAL.md.
  for (std::size_t i = count; i > 0; --i) g_hooks[i - 1].held->lock();
  here.mutex.lock();
  g_hooks_held = count;
}

// Not analysed: see lock_hooks().
void unlock_hooks(Local& here, bool in_child_of_member)
    FORKFUL_RELEASE(here.mutex) FORKFUL_NO_THREAD_SAFETY_ANALYSIS {
  const std::size_t count = g_hooks_held;
  here.mutex.unlock();
  for (std::size_t i = 0; i < count; ++i) {
    if (in_child_of_member) g_hooks[i].in_child();
    g_hooks[i].held->unlock();
  }
}

// Not analysed: it ends with the mutexes held.
void before_fork() FORKFUL_NO_THREAD_SAFETY_ANALYSIS {
  Local& here = local();
  lock_hooks(here);
  here.forked = {};
  reserve_for_child(here);
  lock_mapping();  // last, since the reservation may map
}

void after_fork_in_parent() {
  Local& here = local();
  here.mutex.assume_held();  // since before_fork()
  t_last_forked = here.forked;
  unlock_mapping();
  unlock_hooks(here, false);
}

void after_fork_in_child() {
  Local& here = local();
  here.mutex.assume_held();  // since before_fork()
  // The parent has found the arena's lock stuck, and forks again when it is not. This child ends.
  if (t_fork_stuck != nullptr && t_fork_stuck->word != nullptr) kernel::exit_now(0);
  unlock_mapping();
  t_fork_stuck = nullptr;
  t_last_forked = {};
  const bool was_member = here.capacity != 0;
  if (was_member) {
    try {
      become(here, here.forked);
    } catch (const std::exception&) {
      here.detached = true;
    }
  }
  unlock_hooks(here, was_member);
}

}  // namespace

void handle_forks() { ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

void plan_fork(std::uint32_t flags, std::string name) {
  t_fork_flags = flags;
  t_fork_name = std::move(name);
  t_last_forked = {};
}

MemberId last_forked() { return t_last_forked; }

int fork_process(const std::function<void()>& before, const std::function<void(int)>& after,
                 Wait& wait) {
  for (;;) {
    sync::StuckLock stuck{nullptr};
    if (get_self()) {
      reap_put_off();
      try_sweep();
    }
    before();
    t_fork_stuck = &stuck;
    int pid = 0;
    try {
      pid = kernel::fork_process();
    } catch (...) {
      t_fork_stuck = nullptr;
      after(-1);
      process_ended(t_last_forked);
      plan_fork(0);
      throw;
    }
    if (pid == 0) return 0;
    t_fork_stuck = nullptr;
    if (stuck.word == nullptr) {
      after(pid);
      return pid;
    }
    kernel::end_child(pid);
    after(-1);
    if (sync::await_stuck(stuck, wait) == Waited::interrupted) {
      plan_fork(0);
      return -1;
    }
  }
}

void at_fork(base::Mutex& held, void (*in_child)()) {
  const BareGuard lock(local().mutex);
  const std::size_t count = g_hooks_made.load(std::memory_order_relaxed);
  FORKFUL_CHECK(count < kMostHooks);
  g_hooks[count] = {&held, in_child};
  // Pairs with the acquire in lock_hooks().
  g_hooks_made.store(count + 1, std::memory_order_release);
}

}  // namespace forkful::arena
