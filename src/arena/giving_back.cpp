#include "arena/giving_back.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <forkful/errors.hpp>

#include "arena/free_runs.hpp"
#include "arena/heap.hpp"
#include "arena/objects.hpp"
#include "arena/room_left.hpp"
#include "arena/window_set.hpp"
#include "kernel/error.hpp"
#include "kernel/fault.hpp"
#include "kernel/memfd.hpp"

namespace forkful::arena {
namespace {

// Free pages in memory beyond so many go back to the kernel. A guess: as much as a family may keep
// that no program misses. A page that went back costs 10 to 15 us when it is used again (measured
// on a busy machine of two CPUs).
constexpr std::uint64_t kWarmPagesKept = (128ull << 20) / kPageBytes;
// At least so many a call, where there are so many. A guess. On that machine a call for one page
// took 5 to 45 us, and one for these 256 pages 0.8 ms.
constexpr std::uint64_t kPagesCooled = (1ull << 20) / kPageBytes;
// A call costs as much as some ten pages, so it is not made for fewer than these.
constexpr std::uint64_t kLeastPagesCooled = (64ull << 10) / kPageBytes;
static_assert(kLeastPagesCooled <= kPagesCooled && kPagesCooled <= kWarmPagesKept);

// A window at a time, since a large run need not be mapped side by side here.
void give_pages_back(Offset from, std::uint64_t pages) {
  const Offset end = from + pages * kPageBytes;
  while (from < end) {
    const Offset to = std::min(end, (from / kWindowBytes + 1) * kWindowBytes);
    kernel::punch_hole(at(from), to - from);
    from = to;
  }
}

// Gives pages back where more than the bound are free and warm: of the free run that this thread's
// release became part of, those farthest from there, which were freed first. They are this
// member's meanwhile, so that nobody waits and nobody takes them.
void cool() {
  const Joined freed = take_last_joined();
  if (freed.run == 0) return;
  const std::uint64_t warm = std::atomic_ref(header().warm_pages).load(std::memory_order_relaxed);
  if (warm <= kWarmPagesKept) return;
  Offset cooled = 0;
  std::uint64_t pages = 0;
  {
    ArenaJournal journal(sync::IfStuck::leave);
    // Others may have taken it or made it part of a larger one by now.
    if (!kBegins.has(journal, freed.run / kWindowBytes)) return;
    const Run whole = read_head(freed.run, journal.get(head_of(freed.run)));
    if (whole.pages == 0 || !whole.is_free || !is_listed(journal, whole)) return;
    const Pages& all = whole.warm;
    // A call for a few pages costs more than a few pages, until far too many are warm.
    if (all.count() < (warm > 2 * kWarmPagesKept ? 1 : kLeastPagesCooled)) return;
    pages = std::min(all.count(), std::max(warm - kWarmPagesKept, kPagesCooled));
    const std::uint64_t first = (freed.at - whole.at) / kPageBytes;
    const bool from_front = first + first + freed.pages >= all.begin + all.end;
    const std::uint64_t begin = from_front ? all.begin : all.end - pages;
    cooled = stage_carved(journal, whole, begin, pages, sync::self().bits);
    journal.commit();
  }
  FORKFUL_FAULT("heap.cooling");
  give_pages_back(cooled, pages);
  ArenaJournal journal;
  stage_joined(journal, read_whole(journal, cooled), {});
  stage_unchecked(journal, pages);
  journal.commit();
  (void)take_last_joined();  // which is what was cooled just now
}

// Frees the windows of a large run that is this member's.
void free_windows(const Run& run) {
  give_pages_back(run.at, run.pages);
  FORKFUL_FAULT("heap.windows_cold");
  ArenaJournal journal;
  const std::uint64_t first = run.at / kWindowBytes;
  stage_unlisted(journal, read_run(journal, run.at));
  journal.set(head_of(run.at), 0);
  kTaken.stage(journal, first, windows_for(run.pages), false);
  kBegins.stage(journal, first, 1, false);
  stage_less(journal, FORKFUL_HEADER_FIELD(used_pages), run.pages);
  stage_unchecked(journal, run.pages);
  journal.commit();
}

// Frees one of the unwanted runs; false when there is none. `released`: an object that it held may
// be dying now.
bool free_unwanted(bool& released) {
  const Offset list = FORKFUL_HEADER_FIELD(unwanted);
  Run run;
  {
    ArenaJournal journal(sync::IfStuck::leave);
    const Offset at = journal.get(list);
    if (at == 0) return false;
    try {
      run = read_whole(journal, at);
      if (run.is_free || run.owner != kUnwanted) damaged();
      journal.set(list, journal.get(next_of(at)));
      released = released || run.holds;
      if (run.has_windows()) {
        if (run.holds) stage_release(journal, entry_of(run));
        stage_used(journal, at, run.pages, sync::self().bits);
      } else {
        stage_joined(journal, run, {0, run.pages});
      }
    } catch (const Error&) {
      journal.drop();
      journal.set(list, 0);  // what a rogue member has damaged is left lying
      run = {};
    }
    journal.commit();
  }
  if (run.has_windows()) {
    try {
      free_windows(run);
    } catch (const OsError&) {
      ArenaJournal journal;
      const Run again = read_run(journal, run.at);
      if (!again.is_in_use()) damaged();
      stage_unwanted(journal, again);  // for a member that can map it
      journal.commit();
      throw;
    }
  }
  return true;
}

}  // namespace

void stage_unwanted(Journal& journal, const Run& run) {
  stage_unlisted(journal, run);
  stage_owned(journal, run, kUnwanted);
  const Offset list = FORKFUL_HEADER_FIELD(unwanted);
  journal.set(next_of(run.at), journal.get(list));
  journal.set(list, run.at);
}

void tidy_heap() noexcept {
  bool released = false;
  try {
    cool();
    while (std::atomic_ref(header().unwanted).load(std::memory_order_relaxed) != 0 &&
           free_unwanted(released)) {
    }
  } catch (const sync::StuckLock&) {
    // Why: nobody waits for a stopped member only to tidy up.
  } catch (const std::exception&) {
    // Why: another member can map what this one cannot, and what is damaged is left lying.
  }
  if (released) bury_the_dying();
}

}  // namespace forkful::arena
