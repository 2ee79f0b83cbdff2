// The table of members: who belongs to the family, who lives, and giving back what the dead held.
//
// Liveness is a lock that each member holds on its own byte of a file, through a mapping: the
// kernel drops it when the process dies or execs, and at nothing else. It is seen from any pid
// namespace.
//
// Without /proc a member holds a record lock instead, which goes too when the program closes any
// descriptor of the file; so such a member counts as dead only when its process does not run
// either, or has exec'ed: then it no longer maps the arena. The same is asked by a member that has
// lost its descriptor of the file. A pid is asked for only in the namespace that it is of;
// elsewhere the member counts as alive. LIVENESS.md has the words, interleavings and deaths.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "arena/objects.hpp"
#include "sync/liveness.hpp"

namespace forkful::arena {

using sync::End;

// What was decided about a member before it was started.
enum MemberFlag : std::uint32_t {
  kDaemonic = 1,    // goes when its parent goes
  kPoolWorker = 2,  // likewise
  kPlain = 4,       // a Process: goes when the family's root is killed
  kWilful = 8,      // it is about to end by itself, by _exit() or the like
};

constexpr std::uint32_t generation_in(std::uint64_t state) {
  return static_cast<std::uint32_t>(state >> 8) & 0xffffu;
}
constexpr MemberState state_in(std::uint64_t state) {
  return static_cast<MemberState>(state & 0xff);
}

// Takes a free entry for a process that is about to be started by `parent`, with a share in all
// that `sharing` holds. Throws OsError(EAGAIN) when the table is full, OsError(ENOSPC).
MemberId reserve_member(std::uint32_t flags, MemberId parent, MemberId sharing,
                        sync::IfStuck if_stuck = sync::IfStuck::wait);
// In the started process: false when the reservation has been given back meanwhile.
[[nodiscard]] bool claim_member(MemberId me, int liveness_fd);
// Takes a reservation back that nobody has claimed yet; false when somebody has.
[[nodiscard]] bool withdraw_member(MemberId id);
// At an orderly end: what this member holds locked stays locked. It counts as alive until its
// process has ended, since what runs after this may still use the arena.
void mark_left(MemberId me);
End end_of(MemberId id, MemberId me, int liveness_fd);
// Whether a member has said that it ends by itself, in order or not. Async-signal-safe.
bool ended_wilfully(MemberId id);
void mark_wilful(MemberId me);

// The member's own word on its exit code, for a parent whose child was waited for by somebody else.
void note_exit_code(MemberId me, int code);
std::optional<int> noted_exit_code(MemberId id);

// Whom a user's lock names as its owner once that has been reaped: how it ended is then told by the
// name itself, and not forgotten however often the entry has been used since.
inline constexpr MemberId kSomebodyKilled = MemberId::of(0, 1);
inline constexpr MemberId kSomebodyLeft = MemberId::of(0, 2);
// What a kind of object does when a member that holds it is reaped: `as` is one of these two.
using OnHolderEnd = void (*)(Offset object, MemberId member, MemberId as);
void on_holder_end(Kind kind, OnHolderEnd action) noexcept;
// Does so before main, as a global of the room that has the kind.
struct AtHolderEnd {
  AtHolderEnd(Kind kind, OnHolderEnd action) noexcept { on_holder_end(kind, action); }
};

// The member's pid where it can be asked for in this process's pid namespace; else 0.
int pid_seen_here(MemberId id);

// What the starter knows of a member that has not begun yet.
void note_started(MemberId id, int pid);

// Gives back what a member that has ended held, and its entry. Idempotent; any member may call it.
// Throws: sync::StuckLock, with IfStuck::leave; a sweep does it then.
void reap(MemberId id, End how, sync::IfStuck if_stuck = sync::IfStuck::wait);
// Reaps members that ended with nobody waiting for them; looks at a few entries a call, and does
// not wait for a stopped member's lock.
void sweep_members(MemberId me, int liveness_fd);

// Who was started by `parent` and has not been reaped yet.
std::vector<MemberId> children_of(MemberId parent);

// The members that were found dead last, the newest at the end; kDeathsKept at most. Waits for the
// arena's lock.
[[nodiscard]] std::vector<Death> last_deaths();

// Entries from here on were never used. Bounded, since any member can write the word. Race: another
// one is taken meanwhile, which the caller may miss as well as see.
inline std::uint32_t entries_used() {
  return std::min(header().first_entry_unused.load(), kMembers);
}

// Objects that a member holds, as offsets; entry 0 of the block is its capacity.
inline Offset holding_at(Offset holdings, std::uint64_t index) {
  return holdings + (index + 1) * sizeof(Offset);
}
inline constexpr std::uint64_t kFirstHoldings = 15;  // with the capacity, 128 bytes

constexpr std::uint64_t holdings_bytes(std::uint64_t capacity) {
  return capacity < kArenaBytes ? (capacity + 1) * sizeof(Offset) : kArenaBytes;
}
// How many objects a member's list has room for. Throws Error where it can be none.
std::uint64_t holdings_capacity(Offset holdings);
// Stages an empty list. Its memory is free until the commit; word kHoldingsLink is then the link
// of a free small block, which only the journal may write.
Offset stage_holdings(Journal& journal, std::uint64_t capacity);
inline constexpr std::uint64_t kHoldingsLink = offsetof(ObjectHeader, link) / sizeof(Offset);

// The id under which the child of a raw clone locks until it has an entry of its own: its pid,
// written as a member of the table's last entries, which nobody else gets. Each has the generations
// for 65,536 of the kernel's pids. Two such processes of different pid namespaces may have the same
// id, for the moment that joining takes.
inline constexpr std::uint32_t kPidLimit = 1u << 22;
inline constexpr std::uint32_t kFirstProvisional = kMembers - (kPidLimit >> 16);
// The first entry is nobody's, since an id of 0 is none.
inline constexpr std::uint32_t kMostMembers = kFirstProvisional - 1;
static_assert(kMostMembers == 32'703, "messages for people say so");
constexpr MemberId provisional_id(int pid) {
  const auto bits = static_cast<std::uint32_t>(pid);
  return MemberId::of(kFirstProvisional + (bits >> 16), bits);
}

}  // namespace forkful::arena
