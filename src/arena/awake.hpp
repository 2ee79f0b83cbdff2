// Which members have a thread that runs, so that others know whether they may spin, and what those
// sleep for that have none.
//
// Threads: any. A death leaves a bit or a number stale until the member is reaped.
#pragma once

#include "arena/members.hpp"

namespace forkful::arena {

bool room_to_spin();
// Counts the CPUs of the living again: after a death, and where one has other CPUs now.
void recount_cpus();

// What `me` sleeps for, and since which monotonic time: that of the thread that went to sleep last.
// Nothing where none sleeps.
struct Sleep {
  sync::SleepsAt place;
  std::int64_t since_ns = 0;
};
[[nodiscard]] Sleep sleep_of(MemberId id);
// What a `sleeps_at` says, a member's or that of a death.
[[nodiscard]] sync::SleepsAt place_in(std::uint64_t sleeps_at);
void begin_sleep(MemberId me, const sync::SleepsAt& place, std::int64_t since_ns);
void end_sleep(MemberId me);
// Reads this member's affinity again; the family's CPUs follow.
void note_affinity(MemberId me);

}  // namespace forkful::arena
