// Forks: a place for the child is reserved before it exists, with a share in everything held here,
// so that nothing the parent drops meanwhile can be freed under it.
//
// Threads: any; what is planned is the thread's.
#pragma once

#include <cstdint>
#include <forkful/wait.hpp>
#include <functional>

#include "base/ids.hpp"

namespace forkful::arena {

using base::MemberId;

// What the next fork in this thread starts (default: a fork of the user's own), and whom it made.
void plan_fork(std::uint32_t flags);
MemberId last_forked();
// Forks, after before() and with after(pid) in the parent; after(-1) where it did not fork. Within
// a fork nothing may be given away (see bytes::AroundWait), so while the arena's lock is stuck it
// tries again: before() and after() are called once for each attempt. -1: it was interrupted
// between two of them. Throws: OsError.
int fork_process(const std::function<void()>& before, const std::function<void(int pid)>& after,
                 Wait& wait);
// In a child: run once, right after the fork, in registration order.
void at_fork_in_child(void (*action)());

// Has every fork of this process, from now on, go through here. Called once a process.
void handle_forks();

}  // namespace forkful::arena
