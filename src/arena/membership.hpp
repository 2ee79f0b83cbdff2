// This process as a member of a family: making or joining an arena, and leaving it.
//
// Threads: any.
#pragma once

#include <cstdint>

#include "arena/members.hpp"

namespace forkful::arena {

// Makes sure that this process is a member; the first one makes the arena.
void join_family();
[[nodiscard]] bool has_family();
// An orderly end. Also runs at exit().
void leave_family();
// Likewise, with the exit code for a parent whose child was waited for by somebody else.
void leave_family(int exit_code);
// An end by _exit() and its like is about to come: no death, though nothing is put in order.
void end_wilfully();

// What a process re-executed as a member needs to be handed.
struct Invitation {
  int arena_fd;
  int liveness_fd;
  MemberId member;
  std::uint64_t nonce;  // the first word of the block at Member::start
};
// Throws: LayoutMismatch, where the arena is of another layout; Error, where this process
// is not the one that was invited; OsError.
void accept_invitation(const Invitation& invitation);
Invitation invite(MemberId member, std::uint64_t nonce);
// The file of the members' byte locks; -1 where the program has closed it and nobody else has it.
int liveness_fd();
// What to do whenever a slice of a sleep has passed without a wake-up.
void at_slice_end(void (*action)());

// Reaps `id` with the end it had, or puts that off where the arena's lock is stuck. For whoever has
// waited for its process.
void process_ended(MemberId id);
// Reaps those for which that was put off; also ahead of sleeps and starts of processes.
void reap_put_off() noexcept;
// Async-signal-safe in a member.
End end_of(MemberId id);

// Looks for members that have ended, and reaps them; what fails is left to whoever looks next.
void try_sweep();

}  // namespace forkful::arena
