#include "arena/at_fork.hpp"

#include <pthread.h>

#include <forkful/errors.hpp>
#include <mutex>

#include "arena/local.hpp"
#include "arena/membership.hpp"
#include "arena/windows.hpp"
#include "kernel/child.hpp"

namespace forkful::arena {
namespace {

using sync::IfStuck;

thread_local std::uint32_t t_fork_flags = 0;
thread_local MemberId t_last_forked;
// Where a fork under way says that the arena's lock is stuck; without it, it waits.
thread_local sync::StuckLock* t_fork_stuck = nullptr;

void reserve_for_child(Local& here) {
  if (here.capacity == 0 || here.detached) return;
  try {
    if (!get_self()) join_late(here);
    if (t_fork_stuck == nullptr) sweep_members(get_self(), here.liveness.get());
    const auto if_stuck = t_fork_stuck != nullptr ? IfStuck::leave : IfStuck::wait;
    here.forked = reserve_member(t_fork_flags, get_self(), get_self(), if_stuck);
  } catch (const sync::StuckLock& stuck) {
    *t_fork_stuck = stuck;
  } catch (const std::exception&) {
    // Why: no place or no memory for another member; the child says so at its first use.
  }
}

void before_fork() {
  Local& here = local();
  here.mutex.lock();
  here.forked = {};
  reserve_for_child(here);
  lock_mapping();  // last, since the reservation may map
}

void after_fork_in_parent() {
  Local& here = local();
  t_last_forked = here.forked;
  unlock_mapping();
  here.mutex.unlock();
}

void after_fork_in_child() {
  Local& here = local();
  // Its parent forks again.
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
  here.mutex.unlock();
  if (was_member) {
    for (void (*action)() : here.child_actions) action();
  }
}

}  // namespace

void handle_forks() { ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

void plan_fork(std::uint32_t flags) {
  t_fork_flags = flags;
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

void at_fork_in_child(void (*action)()) {
  Local& here = local();
  const std::lock_guard lock(here.mutex);
  here.child_actions.push_back(action);
}

}  // namespace forkful::arena
