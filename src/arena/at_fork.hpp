// Forks: a place for the child is reserved before it exists, with a share in everything held here,
// so that nothing the parent drops meanwhile can be freed under it.
//
// Threads: any; what is planned is the thread's.
#pragma once

#include <cstdint>
#include <forkful/wait.hpp>
#include <functional>
#include <string>

#include "base/ids.hpp"
#include "base/mutex.hpp"

namespace forkful::arena {

using base::MemberId;

// What the next fork in this thread starts (default: a fork of the user's own, without a name), and
// whom it made.
void plan_fork(std::uint32_t flags, std::string name = {});
MemberId last_forked();
// Forks, after before() and with after(pid) in the parent; after(-1) where it did not fork. Within
// a fork nothing may be given away (see bytes::AroundWait), so while the arena's lock is stuck it
// tries again: before() and after() are called once for each attempt. -1: it was interrupted
// between two of them. Throws: OsError.
int fork_process(const std::function<void()>& before, const std::function<void(int pid)>& after,
                 Wait& wait);
// For another room that keeps something of its own: from now on `held`, which guards it, is locked
// across every fork, and in_child() runs in the child of a member, with the mutex held and no other
// thread. What is registered later is locked earlier; the arena's own mutex comes last, so it may
// be taken by whoever has `held`, and not the other way round. Call once for each.
void at_fork(base::Mutex& held, void (*in_child)());

// Has every fork of this process, from now on, go through here. Called once a process.
void handle_forks();

}  // namespace forkful::arena
