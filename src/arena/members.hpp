// The table of members: who belongs to the family, who lives, and giving back what the dead held.
//
// Liveness is a record lock that each member holds on its own byte of a file: the kernel drops it
// when the process dies or execs. Closing any descriptor of that file drops it as well, so a member
// counts as dead only when its process does not run either, or has exec'ed: then it no longer maps
// the arena.
#pragma once

#include <cstddef>
#include <vector>

#include "arena/heap.hpp"
#include "sync/family.hpp"

namespace forkful::arena {

using sync::End;

// What was decided about a member before it was started.
enum MemberFlag : std::uint32_t {
  kDaemonic = 1,    // goes when its parent goes
  kPoolWorker = 2,  // likewise
  kPlain = 4,       // a Process: goes when the family's root dies abnormally
};

constexpr std::uint32_t generation_in(std::uint64_t state) {
  return static_cast<std::uint32_t>(state >> 8) & 0xffffu;
}
constexpr MemberState state_in(std::uint64_t state) {
  return static_cast<MemberState>(state & 0xff);
}

// Takes a free slot for a process that is about to be started by `parent`, with a share in all that
// `sharing` holds. Throws OsError(EAGAIN) when the table is full, OsError(ENOSPC).
MemberId reserve_member(std::uint32_t flags, MemberId parent, MemberId sharing);
// In the started process: false when the reservation has been given back meanwhile.
[[nodiscard]] bool claim_member(MemberId me, int liveness_fd);
// Takes a reservation back that nobody has claimed yet; false when somebody has.
[[nodiscard]] bool withdraw_member(MemberId id);
// At an orderly end: what this member holds locked stays locked. It counts as alive until its
// process has ended, since what runs behind this may still use the arena.
void mark_left(MemberId me);
End end_of(MemberId id, MemberId me, int liveness_fd);
// Whether a member has said good-bye, running or not. Only reads atomics, so signal handlers may
// ask.
bool left_in_order(MemberId id);

// Gives back what a member that has ended held, and its slot. Idempotent; any member may call it.
void reap(MemberId id, End how);
// Reaps members that ended with nobody waiting for them; looks at a few slots a call.
void sweep_members(MemberId me, int liveness_fd);

// Who was started by `parent` and has not been reaped yet.
std::vector<MemberId> children_of(MemberId parent);

bool room_to_spin();
void begin_sleep(MemberId me);
void end_sleep(MemberId me);
// Reads this member's affinity again; the family's CPUs follow.
void note_affinity(MemberId me);

// Objects that a member holds, as offsets; entry 0 of the block is its capacity.
inline Offset holding_at(Offset holdings, std::uint64_t index) {
  return holdings + (index + 1) * sizeof(Offset);
}
inline constexpr std::uint64_t kFirstHoldings = 15;  // with the capacity, 128 bytes

constexpr std::uint64_t holdings_bytes(std::uint64_t capacity) {
  return capacity < kArenaBytes ? (capacity + 1) * sizeof(Offset) : kArenaBytes;
}
// Stages an empty list. Its memory is free until the commit; word kHoldingsLink is then the link
// of a free cell, which only the journal may write.
Offset stage_holdings(Journal& journal, std::uint64_t capacity);
inline constexpr std::uint64_t kHoldingsLink = offsetof(ObjectHeader, link) / sizeof(Offset);

// The name under which the child of a raw clone locks until it has a slot of its own: its pid,
// written as a member of the table's last slots, which nobody else gets.
inline constexpr std::uint32_t kFirstLateSlot = kMembers - 64;
constexpr MemberId late_name(int pid) {
  const auto bits = static_cast<std::uint32_t>(pid);
  return MemberId::of(kFirstLateSlot + (bits >> 16), bits);
}

}  // namespace forkful::arena
