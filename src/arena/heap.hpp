// Memory of the arena: runs of pages, and small blocks of 64 to 2048 bytes for small objects.
//
// Everything goes through the arena's journal, so a member killed in here leaves either the old
// state or the new. A run has an owner: the member that fills or reads it (its runs are freed when
// it dies), or the family, once an object or a message refers to it. What the words of the pages
// say, see runs.hpp.
//
// Memory that is free goes back to the kernel beyond a bound, and so do the windows of runs that
// are larger than a window. Freeing never fails: what a member cannot do is left to the others.
#pragma once

#include "arena/runs.hpp"
#include "kernel/process_info.hpp"

namespace forkful::arena {

// Locks the arena's own journal.
class ArenaJournal : public Journal {
 public:
  explicit ArenaJournal(sync::IfStuck if_stuck = sync::IfStuck::wait)
      : Journal(header().journal, if_stuck) {}
};

// Stage an allocation of at least `bytes`, aligned to 64; a run where `bytes` is above 2048.
// Throws: OsError(ENOSPC) where MemAvailable or a cgroup's limit would be exceeded but for a
// reserve. Best effort: what others take in the same moment cannot be foreseen.
Offset stage_allocate(Journal& journal, std::uint64_t bytes, std::uint32_t owner = kFamilyOwned);
// Stage the release of what stage_allocate() gave for `bytes`.
void stage_free(Journal& journal, Offset where, std::uint64_t bytes);
// Stage a run's change of hands.
void stage_owner(Journal& journal, Offset run, std::uint32_t owner);

// A run may hold one object: its last word is then an entry as in a member's list of holdings, and
// the commit that frees the run, whoever does it, also ends that holding. So what the bytes of a
// message name lives as long as the message (see cargo.hpp). Whoever frees such a run calls
// bury_the_dying() after the commit.
inline constexpr std::uint64_t kRunEntryBytes = sizeof(Offset);
[[nodiscard]] bool run_holds(Offset run);
// Stages that it does; the entry, which is 0 where it held none, is the caller's to fill.
Offset stage_run_entry(Journal& journal, Offset run);
// Stages that `to` holds what `from` held, if anything.
void stage_move_entry(Journal& journal, Offset from, Offset to);

// A run that belongs to this member until stage_owner() or free_run().
Offset allocate_run(std::uint64_t bytes, sync::IfStuck if_stuck = sync::IfStuck::wait);
void free_run(Offset run) noexcept;
// Throws Error where no run begins there.
[[nodiscard]] std::uint64_t run_bytes(Offset run);
// Whether `run` is the beginning of a run in use that holds `bytes`. For readers of offsets that
// another process wrote.
[[nodiscard]] bool is_run(Offset run, std::uint64_t bytes);

// Whether stage_allocate() may have given `where` for `bytes`. For what another process wrote.
[[nodiscard]] bool is_allocated(Offset where, std::uint64_t bytes);

// Frees every run that belongs to `member`, which has ended. Throws: OsError where one cannot be
// mapped here.
void free_runs_of(MemberId member);

// Who says what bounds memory; the kernel, unless a test does.
using ReadLimits = kernel::MemoryLimits (*)();
void read_limits_by(ReadLimits read);

struct PageUse {
  std::uint64_t used_bytes;
  std::uint64_t warm_bytes;
};
PageUse heap_use();

// Gives memory back that the commits of this thread have freed, beyond the bound, and frees what
// any member could not free in its commit. Call after a commit that freed, without the arena's
// journal locked; allocate_run() and free_run() do.
void tidy_heap() noexcept;

// Enters the memory above the table of members into a new arena's lists.
void format_heap();

// Walks every structure and checks it; aborts on the first contradiction. Returns the bytes that
// somebody has: without free small blocks, whose pages stay the heap's, and spare runs. For tests.
std::uint64_t check_heap();

}  // namespace forkful::arena
