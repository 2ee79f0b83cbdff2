#include "arena/heap.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <forkful/errors.hpp>
#include <optional>
#include <string>
#include <utility>

#include "arena/objects.hpp"
#include "arena/runs.hpp"
#include "base/check.hpp"
#include "kernel/error.hpp"
#include "kernel/fault.hpp"
#include "kernel/memfd.hpp"
#include "kernel/process_info.hpp"

namespace forkful::arena {
namespace {

constexpr std::uint64_t kLargestSmallBlock = 2048;
constexpr std::uint64_t kSmallBlocksRunBytes = 16384;
// Free pages in memory beyond so many go back to the kernel, at least so many a call; a call costs
// as much as some ten pages, so it is not made for less than kLeastPagesCooled.
constexpr std::uint64_t kWarmPagesKept = (128ull << 20) / kPageBytes;
constexpr std::uint64_t kPagesCooled = (1ull << 20) / kPageBytes;
constexpr std::uint64_t kLeastPagesCooled = (64ull << 10) / kPageBytes;
constexpr std::uint64_t kPagesPerCheck = (64ull << 20) / kPageBytes;
// What is left of a limit for others: between two looks they take memory as well, and a cgroup
// counts what the kernel keeps for it. A whole machine kills before MemAvailable is 0, at
// watermarks that grow with its memory, so there it is 3 %, but never more than a GiB.
constexpr std::uint64_t kReserveBytes = 16ull << 20;
constexpr std::uint64_t kMostReserveBytes = 1ull << 30;
constexpr std::uint64_t kReservePercent = 3;
constexpr int kTriesInOwnBin = 16;

// What tidy_heap() begins with: the free run that this thread's last release became part of, and
// where in it that was.
struct Freed {
  Offset run = 0;
  Offset at = 0;
  std::uint64_t pages = 0;
};
thread_local Freed t_freed;

std::uint64_t pages_for(std::uint64_t bytes) {
  const std::uint64_t pages = bytes / kPageBytes + (bytes % kPageBytes != 0 ? 1 : 0);
  if (pages > (kWindows - 1) * kPagesPerWindow) {
    kernel::throw_error(ENOSPC, "growth", "the arena beyond its 256 GiB");
  }
  return std::max<std::uint64_t>(pages, 1);
}

void add(Journal& journal, Offset counter, std::int64_t change) {
  journal.set(counter, journal.get(counter) + static_cast<std::uint64_t>(change));
}

std::atomic<ReadLimits> g_read_limits{kernel::memory_limits};

std::uint64_t bytes_left() {
  const kernel::MemoryLimits limits = g_read_limits.load(std::memory_order_relaxed)();
  const auto less = [](std::uint64_t left, std::uint64_t reserve) {
    return left > reserve ? left - reserve : 0;
  };
  const std::uint64_t reserve =
      limits.machine == kernel::kNoLimit
          ? kReserveBytes
          : std::clamp(limits.machine / 100 * kReservePercent, kReserveBytes, kMostReserveBytes);
  return std::min(less(limits.machine_left, reserve), less(limits.cgroup_left, kReserveBytes));
}

// Looks at the limits each time another 64 MiB are about to be used.
void check_room(Journal& journal, std::uint64_t pages) {
  const std::uint64_t used = journal.get(FORKFUL_HEADER_FIELD(used_pages));
  if (used + pages <= journal.get(FORKFUL_HEADER_FIELD(checked_pages))) return;
  const std::uint64_t left = bytes_left();
  if (left < pages * kPageBytes) {
    kernel::throw_error(
        ENOSPC, "growth",
        "the arena by " + std::to_string(pages * kPageBytes >> 10) + " KiB (" +
            std::to_string(left >> 20) +
            " MiB are left below the memory limit and its reserve; use fewer or smaller objects, "
            "or bound the queue with maxsize)");
  }
  const std::uint64_t spare = (left / kPageBytes - pages) / 4;
  journal.set(FORKFUL_HEADER_FIELD(checked_pages),
              used + pages + (spare < kPagesPerCheck ? spare : kPagesPerCheck));
}

// --- windows ---
//
// A window is free, or holds runs side by side, or is one of those of a larger run, whose data goes
// on over the words at their beginnings. Only in the first window of such a run, and in one of many
// runs, can a run begin. What is in a free window reads zero: its pages went back to the kernel.

class WindowSet {
 public:
  explicit constexpr WindowSet(Offset words) : words_(words) {}
  [[nodiscard]] Offset word_of(std::uint64_t window) const {
    return words_ + window / 64 * sizeof(std::uint64_t);
  }
  [[nodiscard]] bool has(Journal& journal, std::uint64_t window) const {
    return (journal.get(word_of(window)) >> window % 64 & 1) != 0;
  }
  void stage(Journal& journal, std::uint64_t first, std::uint64_t count, bool are_in) const {
    for (std::uint64_t window = first; window < first + count;) {
      std::uint64_t bits = journal.get(word_of(window));
      const Offset word = word_of(window);
      for (; window < first + count && word_of(window) == word; ++window) {
        const std::uint64_t bit = std::uint64_t{1} << window % 64;
        bits = are_in ? bits | bit : bits & ~bit;
      }
      journal.set(word, bits);
    }
  }

 private:
  Offset words_;
};
constexpr WindowSet kTaken(FORKFUL_HEADER_FIELD(windows_taken));
constexpr WindowSet kBegins(FORKFUL_HEADER_FIELD(windows_of_runs));

// Whether the window holds one run, which is free.
bool is_empty(Journal& journal, std::uint64_t window) {
  if (window == 0 || !kBegins.has(journal, window)) return false;
  const Run run = read_run(journal, data_at(window));
  return run.is_free && run.pages == kMostPagesInWindow;
}

// Frees a window that holds one free run.
void stage_window_freed(Journal& journal, std::uint64_t window) {
  const Run run = read_whole(journal, data_at(window));
  stage_unlisted(journal, run);
  journal.set(head_of(run.at), 0);
  add(journal, FORKFUL_HEADER_FIELD(warm_pages), -static_cast<std::int64_t>(run.warm.count()));
  kTaken.stage(journal, window, 1, false);
  kBegins.stage(journal, window, 1, false);
}

// The first `count` windows side by side that are free, or empty where there are several; taken.
std::uint64_t take_windows(Journal& journal, std::uint64_t count) {
  std::uint64_t first = 0;
  std::uint64_t have = 0;
  for (std::uint64_t window = 0; window < kWindows && have < count; ++window) {
    const bool usable = !kTaken.has(journal, window) || (count > 1 && is_empty(journal, window));
    if (!usable) have = 0;
    if (usable && have++ == 0) first = window;
  }
  if (have < count) kernel::throw_error(ENOSPC, "growth", "the arena beyond its 256 GiB");
  grow_arena((first + count) * kWindowBytes);
  for (std::uint64_t window = first; window < first + count; ++window) {
    if (!kTaken.has(journal, window)) continue;
    const bool alone = journal.staged() == 0;
    stage_window_freed(journal, window);
    if (alone) journal.commit();  // one by one, since the journal has no room for a thousand
  }
  kTaken.stage(journal, first, count, true);
  kBegins.stage(journal, first, 1, true);
  const Offset used = FORKFUL_HEADER_FIELD(windows_used);
  journal.set(used, std::max(journal.get(used), first + count));
  return first;
}

// --- runs ---

std::uint64_t spare_pages(Journal& journal) {
  std::uint64_t all = 0;
  for (std::uint64_t pages = 1; pages <= kSpareSizes; ++pages) {
    all += journal.get(spares_of(pages)) % kPageBytes * pages;
  }
  return all;
}

// A free run of at least `pages`.
std::optional<Run> find(Journal& journal, std::uint64_t pages) {
  const auto checked = [&](Offset at) {
    const Run run = read_run(journal, at);
    if (!run.is_free) damaged();
    return run;
  };
  auto bin = static_cast<unsigned>(std::bit_width(pages) - 1);
  Offset at = journal.get(bin_for(pages));
  for (int tries = 0; at != 0 && tries < kTriesInOwnBin; ++tries) {
    const Run run = checked(at);
    if (run.pages >= pages) return run;
    at = journal.get(next_of(at));
  }
  constexpr unsigned kBinsInUse = std::bit_width(kMostPagesInWindow);
  static_assert(kBinsInUse <= kBins);
  for (++bin; bin < kBinsInUse; ++bin) {
    at = journal.get(FORKFUL_HEADER_FIELD(bins) + bin * sizeof(Offset));
    if (at == 0) continue;
    const Run run = checked(at);
    if (run.pages < pages) damaged();
    return run;
  }
  return std::nullopt;
}

// Takes pages out of a free run.
Offset carve(Journal& journal, const Run& whole, std::uint64_t from, std::uint64_t pages,
             std::uint32_t owner) {
  const std::uint64_t to = from + pages;
  const Run before = whole.part(0, from);
  const Run after = whole.part(to, whole.pages);
  if (before.pages > 0) {
    stage_became(journal, whole, before);
    if (after.pages > 0) stage_unused(journal, after);
  } else if (after.pages > 0) {
    stage_became(journal, whole, after);
  } else {
    stage_unlisted(journal, whole);
  }
  const Run taken = whole.part(from, to);
  stage_used(journal, taken.at, pages, owner);
  add(journal, FORKFUL_HEADER_FIELD(used_pages), static_cast<std::int64_t>(pages));
  const std::uint64_t warm = whole.warm.count() - before.warm.count() - after.warm.count();
  if (warm != 0) add(journal, FORKFUL_HEADER_FIELD(warm_pages), -static_cast<std::int64_t>(warm));
  return taken.at;
}

// One free run in a window that was taken just now.
Run stage_new_window(Journal& journal, std::uint64_t window) {
  const Offset at = data_at(window);
  const Run run{
      .at = at, .pages = ((window + 1) * kWindowBytes - at) / kPageBytes, .is_free = true};
  stage_unused(journal, run);
  return run;
}

// The last word of a run, where a run that holds an object names it.
Offset entry_of(const Run& run) { return run.end() - kRunEntryBytes; }

// Stages that a run in use is free, and one with the free runs beside it. `warm`: its pages that
// may be in memory.
void stage_joined(Journal& journal, const Run& freed, const Pages& warm) {
  if (freed.holds) stage_release(journal, entry_of(freed));
  stage_unlisted(journal, freed);
  Run all{.at = freed.at, .pages = freed.pages, .is_free = true, .warm = warm};
  std::uint64_t counted = 0;
  std::optional<Run> place;  // whose place in the bins it has from now on
  if (freed.end() % kWindowBytes != 0) {
    const Run after = read_run(journal, freed.end());
    if (after.is_free) {
      all.warm = all.warm.joined(after.warm.moved(all.pages));
      all.pages += after.pages;
      counted += after.warm.count();
      place = after;
    }
  }
  if (freed.at != data_at(freed.at / kWindowBytes)) {
    const Run before = read_before(journal, freed.at);
    if (before.is_free) {
      if (place) stage_unlisted(journal, *place);
      journal.set(head_of(freed.at), 0);  // no run begins there any more
      all.warm = before.warm.joined(all.warm.moved(before.pages));
      all.at = before.at;
      all.pages += before.pages;
      counted += before.warm.count();
      place = before;
    }
  }
  if (place) {
    stage_became(journal, *place, all);
  } else {
    stage_unused(journal, all);
  }
  add(journal, FORKFUL_HEADER_FIELD(used_pages), -static_cast<std::int64_t>(freed.pages));
  const auto more = static_cast<std::int64_t>(all.warm.count() - counted);
  if (more != 0) add(journal, FORKFUL_HEADER_FIELD(warm_pages), more);
  t_freed = {all.at, freed.at, freed.pages};
}

// Has the spare runs join their neighbours, one by one, since the journal has no room for all;
// whether there were any. Requires: nothing is staged.
bool join_spares(Journal& journal) {
  bool any = false;
  for (std::uint64_t pages = 1; pages <= kSpareSizes; ++pages) {
    while (journal.get(spares_of(pages)) != 0) {
      try {
        const Run run = stage_unspared(journal, pages);
        if (run.pages != 0) stage_joined(journal, run, {0, pages});
      } catch (const Error&) {
        journal.drop();
        journal.set(spares_of(pages), 0);  // what a rogue member has damaged is left lying
      }
      journal.commit();
      any = true;
    }
  }
  return any;
}

Offset stage_run(Journal& journal, std::uint64_t pages, std::uint32_t owner) {
  if (pages <= kSpareSizes) {
    if (const Run spare = stage_unspared(journal, pages); spare.pages != 0) {
      stage_owned(journal, spare, owner);
      return spare.at;
    }
  }
  // As long as nothing is staged, more can be done ahead, commit by commit; the look at the limits
  // is committed then as well, since by itself it says only that there was room.
  const bool alone = journal.staged() == 0;
  check_room(journal, pages);
  if (pages > kMostPagesInWindow) {
    if (alone) {
      journal.commit();
      (void)join_spares(journal);
    }
    const Offset at = data_at(take_windows(journal, windows_for(pages)));
    stage_used(journal, at, pages, owner);
    add(journal, FORKFUL_HEADER_FIELD(used_pages), static_cast<std::int64_t>(pages));
    return at;
  }
  auto found = find(journal, pages);
  if (!found && alone) {
    journal.commit();
    if (join_spares(journal)) found = find(journal, pages);
  }
  const Run whole = found ? *found : stage_new_window(journal, take_windows(journal, 1));
  require_foot(journal, whole);
  // Why from the end, unless only the other one is warm: the rest keeps its beginning, and with
  // that its place in its bin; so does what a run that is freed becomes part of.
  const bool from_front = whole.warm.begin == 0 && whole.warm.count() % whole.pages != 0;
  return carve(journal, whole, from_front ? 0 : whole.pages - pages, pages, owner);
}

// --- without the journal ---

std::uint64_t load(Offset word) {
  return std::atomic_ref(at<std::uint64_t>(word)).load(std::memory_order_relaxed);
}

// What begins at `at`; no pages where nothing does.
Run look_at(Offset at) { return can_be_page(at) ? read_head(at, load(head_of(at))) : Run{}; }

// Some releases cannot end in the commit that they belong to: a large run's windows are free only
// when its pages have gone back, and where the address space is limited, a neighbour's words cannot
// be mapped. Such a run is unwanted, in a list of its own, until tidy_heap() of any member frees
// it.
void stage_free_run(Journal& journal, Offset at) {
  const Run run = read_run(journal, at);
  if (!run.is_in_use()) damaged();
  if (!run.holds && stage_spare(journal, run)) return;
  require_foot(journal, run);
  if (!run.has_windows()) {
    const std::uint32_t before = journal.staged();
    try {
      stage_joined(journal, run, {0, run.pages});
      return;
    } catch (const OsError&) {
      journal.drop(before);
    }
  }
  stage_unlisted(journal, run);
  stage_owned(journal, run, kUnwanted);
  const Offset list = FORKFUL_HEADER_FIELD(unwanted);
  journal.set(next_of(at), journal.get(list));
  journal.set(list, at);
}

unsigned small_block_class(std::uint64_t bytes) {
  return bytes <= 64 ? 0 : static_cast<unsigned>(std::bit_width(bytes - 1)) - 6;
}
Offset link_of(Offset block) { return block + offsetof(ObjectHeader, link); }

void require_small_block(Offset block, std::uint64_t block_bytes) {
  if (block % block_bytes != 0 || !can_be_page(block - block % kPageBytes)) damaged();
}

Offset stage_small_block(Journal& journal, std::uint64_t bytes) {
  const unsigned size_class = small_block_class(bytes);
  const Offset list = FORKFUL_HEADER_FIELD(small_blocks) + size_class * sizeof(Offset);
  const std::uint64_t block_bytes = 64ull << size_class;
  Offset block = journal.get(list);
  if (block != 0) {
    require_small_block(block, block_bytes);
    journal.set(list, journal.get(link_of(block)));
    return block;
  }
  block = stage_run(journal, kSmallBlocksRunBytes / kPageBytes, kFamilyOwned);
  // The run is not in use before the commit, so its blocks can be chained by plain stores.
  const Offset end = block + kSmallBlocksRunBytes;
  for (Offset each = block + block_bytes; each < end; each += block_bytes) {
    at<std::uint64_t>(link_of(each)) = each + block_bytes < end ? each + block_bytes : 0;
  }
  journal.set(list, block + block_bytes);
  return block;
}

// --- what follows a release ---

// A window at a time, since a large run need not be mapped side by side here.
void give_pages_back(Offset from, std::uint64_t pages) {
  const Offset end = from + pages * kPageBytes;
  while (from < end) {
    const Offset to = std::min(end, (from / kWindowBytes + 1) * kWindowBytes);
    kernel::punch_hole(at(from), to - from);
    from = to;
  }
}

// Others may take what went back, so the limits are looked at again before it is used.
void stage_unchecked(Journal& journal, std::uint64_t pages) {
  const Offset field = FORKFUL_HEADER_FIELD(checked_pages);
  const std::uint64_t checked = journal.get(field);
  journal.set(field, checked > pages ? checked - pages : 0);
}

// Gives pages back where more than the bound are free and warm: of the free run that this thread's
// release became part of, those farthest from there, which were freed first. They are this
// member's meanwhile, so that nobody waits and nobody takes them.
void cool() {
  if (t_freed.run == 0) return;
  const Freed freed = std::exchange(t_freed, {});
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
    cooled = carve(journal, whole, begin, pages, sync::self().bits);
    journal.commit();
  }
  FORKFUL_FAULT("heap.cooling");
  give_pages_back(cooled, pages);
  ArenaJournal journal;
  stage_joined(journal, read_whole(journal, cooled), {});
  stage_unchecked(journal, pages);
  journal.commit();
  t_freed = {};
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
  add(journal, FORKFUL_HEADER_FIELD(used_pages), -static_cast<std::int64_t>(run.pages));
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
      stage_free_run(journal, run.at);  // for a member that can map it
      journal.commit();
      throw;
    }
  }
  return true;
}

}  // namespace

Offset stage_allocate(Journal& journal, std::uint64_t bytes, std::uint32_t owner) {
  if (bytes <= kLargestSmallBlock) return stage_small_block(journal, bytes);
  return stage_run(journal, pages_for(bytes), owner);
}

void stage_free(Journal& journal, Offset where, std::uint64_t bytes) {
  if (bytes > kLargestSmallBlock) {
    stage_free_run(journal, where);
    return;
  }
  require_small_block(where, 64ull << small_block_class(bytes));
  const Offset list =
      FORKFUL_HEADER_FIELD(small_blocks) + small_block_class(bytes) * sizeof(Offset);
  journal.set(link_of(where), journal.get(list));
  journal.set(list, where);
}

void stage_owner(Journal& journal, Offset at, std::uint32_t owner) {
  const Run run = read_run(journal, at);
  if (!run.is_in_use()) damaged();
  stage_unlisted(journal, run);
  stage_owned(journal, run, owner);
}

Offset allocate_run(std::uint64_t bytes, sync::IfStuck if_stuck) {
  tidy_heap();
  ArenaJournal journal(if_stuck);
  const Offset run = stage_run(journal, pages_for(bytes), sync::self().bits);
  journal.commit();
  return run;
}

bool run_holds(Offset at) { return look_at(at).holds; }

Offset stage_run_entry(Journal& journal, Offset at) {
  const Run run = read_run(journal, at);
  if (!run.holds) {
    stage_holding(journal, at, true);
    journal.set(entry_of(run), 0);
  }
  return entry_of(run);
}

void stage_move_entry(Journal& journal, Offset from, Offset to) {
  const Run run = read_run(journal, from);
  if (!run.holds) return;
  const Offset entry = stage_run_entry(journal, to);
  journal.set(entry, journal.get(entry_of(run)));
  stage_holding(journal, from, false);
}

void free_run(Offset run) noexcept {
  bool holds = false;
  try {
    ArenaJournal journal;
    holds = run_holds(run);
    stage_free_run(journal, run);
    journal.commit();
  } catch (const std::exception&) {
    // Why: destructors free. What is damaged, or cannot be mapped here, stays this member's.
  }
  if (holds) {
    bury_the_dying();
  } else {
    tidy_heap();
  }
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

std::uint64_t run_bytes(Offset at) {
  const Run run = look_at(at);
  if (run.pages == 0) damaged();
  return run.pages * kPageBytes;
}

bool is_run(Offset at, std::uint64_t bytes) {
  if (!can_be_page(at)) return false;
  const std::uint64_t window = at / kWindowBytes;
  if ((load(kBegins.word_of(window)) >> window % 64 & 1) == 0) return false;
  const Run run = look_at(at);
  return run.is_in_use() && bytes <= run.pages * kPageBytes;
}

bool is_allocated(Offset where, std::uint64_t bytes) {
  if (bytes > kLargestSmallBlock) return is_run(where, bytes);
  return where % (64ull << small_block_class(bytes)) == 0 &&
         can_be_page(where - where % kPageBytes);
}

namespace {

// The word that names one of the member's runs, or the last of its words.
Offset word_of_a_run(Journal& journal, MemberId member) {
  for (std::uint32_t i = 0; i < kRunsAtHand; ++i) {
    if (journal.get(at_hand_of(member, i)) != 0) return at_hand_of(member, i);
  }
  return runs_of(member);
}

}  // namespace

void free_runs_of(MemberId member) {
  for (;;) {
    ArenaJournal journal;
    const std::uint64_t state = journal.get(kMembersAt + member.index() * sizeof(Member));
    static_assert(offsetof(Member, state) == 0);
    // Somebody else may have reaped it meanwhile, and its place be another's.
    if ((state >> 8 & 0xffff) != member.generation()) break;
    const Offset word = word_of_a_run(journal, member);
    const Offset at = journal.get(word);
    if (at == 0) break;
    try {
      if (read_run(journal, at).owner != member.bits) damaged();
      stage_free_run(journal, at);
    } catch (const Error&) {
      journal.drop();
      journal.set(word, 0);  // what a rogue member has damaged is left lying
    }
    journal.commit();
  }
  tidy_heap();
}

void read_limits_by(ReadLimits read) { g_read_limits.store(read, std::memory_order_relaxed); }

PageUse heap_use() {
  ArenaJournal journal;
  const std::uint64_t spare = spare_pages(journal);
  return {(journal.get(FORKFUL_HEADER_FIELD(used_pages)) - spare) * kPageBytes,
          (journal.get(FORKFUL_HEADER_FIELD(warm_pages)) + spare) * kPageBytes};
}

void format_heap() {
  ArenaJournal journal;
  stage_new_window(journal, take_windows(journal, 1));
  journal.commit();
}

// --- tests ---

namespace {

// How many runs of `list` there are, each of which `is_right`.
template <class Right>
std::uint64_t count_listed(Journal& journal, Offset list, Right&& is_right) {
  std::uint64_t count = 0;
  Offset before = 0;
  for (Offset at = journal.get(list); at != 0; at = journal.get(next_of(at))) {
    FORKFUL_CHECK(is_right(read_whole(journal, at)));
    FORKFUL_CHECK(journal.get(prev_of(at)) == before);
    before = at;
    ++count;
  }
  return count;
}

}  // namespace

std::uint64_t check_heap() {
  ArenaJournal journal;
  std::uint64_t used = 0;
  std::uint64_t warm = 0;
  std::uint64_t free_runs = 0;
  std::uint64_t members_runs = 0;
  std::uint64_t unwanted = 0;
  std::uint64_t spare = 0;
  for (std::uint64_t window = 0; window < kWindows; ++window) {
    if (!kTaken.has(journal, window)) FORKFUL_CHECK(!kBegins.has(journal, window));
    if (!kBegins.has(journal, window)) continue;
    bool free_before = false;
    for (Offset at = data_at(window); at < (window + 1) * kWindowBytes;) {
      const Run run = read_whole(journal, at);
      if (run.has_windows()) {
        for (std::uint64_t i = 0; i < windows_for(run.pages); ++i) {
          FORKFUL_CHECK(kTaken.has(journal, window + i));
          FORKFUL_CHECK(kBegins.has(journal, window + i) == (i == 0));
        }
      }
      FORKFUL_CHECK(!(run.is_free && free_before));
      free_before = run.is_free;
      free_runs += run.is_free ? 1 : 0;
      warm += run.warm.count();
      used += run.is_free ? 0 : run.pages;
      unwanted += !run.is_free && run.owner == kUnwanted ? 1 : 0;
      spare += !run.is_free && run.owner == kSpare ? run.pages : 0;
      members_runs += !run.is_free && is_members(run.owner) ? 1 : 0;
      at = run.end();
    }
  }
  FORKFUL_CHECK(used == journal.get(FORKFUL_HEADER_FIELD(used_pages)));
  FORKFUL_CHECK(warm == journal.get(FORKFUL_HEADER_FIELD(warm_pages)));
  for (unsigned bin = 0; bin < kBins; ++bin) {
    const Offset list = FORKFUL_HEADER_FIELD(bins) + bin * sizeof(Offset);
    free_runs -= count_listed(
        journal, list, [&](const Run& run) { return run.is_free && bin_for(run.pages) == list; });
  }
  FORKFUL_CHECK(free_runs == 0);
  for (std::uint32_t index = 1; index < header().first_entry_unused; ++index) {
    const MemberId member = MemberId::of(index, 0);
    const auto is_its = [&](const Run& run, bool listed) {
      return !run.is_free && MemberId{run.owner}.index() == index && run.listed == listed;
    };
    members_runs -=
        count_listed(journal, runs_of(member), [&](const Run& run) { return is_its(run, true); });
    for (std::uint32_t i = 0; i < kRunsAtHand; ++i) {
      const Offset at = journal.get(at_hand_of(member, i));
      if (at == 0) continue;
      FORKFUL_CHECK(is_its(read_whole(journal, at), false));
      --members_runs;
    }
  }
  FORKFUL_CHECK(members_runs == 0);
  for (Offset at = header().unwanted; at != 0; at = journal.get(next_of(at))) {
    FORKFUL_CHECK(read_whole(journal, at).owner == kUnwanted);
    --unwanted;
  }
  FORKFUL_CHECK(unwanted == 0);
  FORKFUL_CHECK(spare == spare_pages(journal));
  for (std::uint64_t pages = 1; pages <= kSpareSizes; ++pages) {
    std::uint64_t word = journal.get(spares_of(pages));
    for (std::uint64_t left = word % kPageBytes; left > 0; --left) {
      FORKFUL_CHECK(word % kPageBytes == left);
      const Run run = read_whole(journal, word - left);
      FORKFUL_CHECK(run.owner == kSpare && run.pages == pages);
      word = journal.get(next_of(run.at));
    }
    FORKFUL_CHECK(word == 0);
  }
  std::uint64_t free_bytes = 0;
  for (unsigned size_class = 0; size_class < kSmallBlockSizes; ++size_class) {
    const Offset list = FORKFUL_HEADER_FIELD(small_blocks) + size_class * sizeof(Offset);
    const std::uint64_t block_bytes = 64ull << size_class;
    for (Offset block = journal.get(list); block != 0; block = journal.get(link_of(block))) {
      require_small_block(block, block_bytes);
      free_bytes += block_bytes;
    }
  }
  FORKFUL_CHECK(free_bytes + spare * kPageBytes <= used * kPageBytes);
  return (used - spare) * kPageBytes - free_bytes;
}

}  // namespace forkful::arena
