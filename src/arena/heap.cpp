#include "arena/heap.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>

#include "arena/objects.hpp"
#include "kernel/error.hpp"
#include "kernel/memfd.hpp"
#include "kernel/process_info.hpp"

namespace forkful::arena {
namespace {

constexpr std::uint64_t kLargestCell = 2048;
constexpr std::uint64_t kCellRunBytes = 16384;
constexpr std::uint64_t kWarmPagesKept = (128ull << 20) / kPageBytes;
constexpr std::uint64_t kCoolableBytes = 1ull << 20;
constexpr std::uint64_t kPagesPerCheck = (64ull << 20) / kPageBytes;
// What is left of a limit for others: between two looks they take memory as well, and a cgroup
// counts what the kernel keeps for it. A whole machine kills before MemAvailable is 0, at
// watermarks that grow with its memory, so there it is 3 %, but never more than a GiB.
constexpr std::uint64_t kReserveBytes = 16ull << 20;
constexpr std::uint64_t kMostReserveBytes = 1ull << 30;
constexpr std::uint64_t kReservePercent = 3;
constexpr int kTriesInOwnBin = 16;

// A field of the header or of a page, as an offset for the journal.
#define FIELD(name) (kHeaderAt + offsetof(Header, name))

Offset words_of(Offset page) {
  return page / kWindowBytes * kWindowBytes + page % kWindowBytes / kPageBytes * sizeof(PageWords);
}
Offset head_of(Offset run) { return words_of(run) + offsetof(PageWords, head); }
Offset next_of(Offset run) { return words_of(run) + offsetof(PageWords, next); }
Offset prev_of(Offset run) { return words_of(run) + offsetof(PageWords, prev); }
Offset foot_of(Offset run, std::uint64_t pages) {
  return words_of(run + (pages - 1) * kPageBytes) + offsetof(PageWords, foot);
}
Offset data_at(std::uint64_t window) {
  return window * kWindowBytes + (window == 0 ? kFirstWindowDataAt : kWindowDataAt);
}

constexpr std::uint64_t make_head(std::uint64_t pages, std::uint32_t owner) {
  return pages | (std::uint64_t{owner} << 32);
}
constexpr std::uint64_t pages_in(std::uint64_t head) { return head & 0x7fffffff; }
constexpr std::uint64_t kHolds = 1ull << 31;
constexpr std::uint32_t owner_in(std::uint64_t head) {
  return static_cast<std::uint32_t>(head >> 32);
}

Offset bin_for(std::uint64_t pages) {
  return FIELD(bins) + static_cast<unsigned>(std::bit_width(pages) - 1) * sizeof(Offset);
}

void unlink(Journal& journal, Offset run, std::uint64_t pages) {
  const Offset next = journal.get(next_of(run));
  const Offset prev = journal.get(prev_of(run));
  journal.set(prev != 0 ? next_of(prev) : bin_for(pages), next);
  if (next != 0) journal.set(prev_of(next), prev);
}

void link(Journal& journal, Offset run, std::uint64_t pages) {
  const Offset bin = bin_for(pages);
  const Offset first = journal.get(bin);
  journal.set(next_of(run), first);
  journal.set(prev_of(run), 0);
  if (first != 0) journal.set(prev_of(first), run);
  journal.set(bin, run);
}

void bound(Journal& journal, Offset run, std::uint64_t pages, std::uint32_t owner) {
  journal.set(head_of(run), make_head(pages, owner));
  journal.set(foot_of(run, pages), run);
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
  const std::uint64_t used = journal.get(FIELD(used_pages));
  if (used + pages <= journal.get(FIELD(checked_pages))) return;
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
  journal.set(FIELD(checked_pages),
              used + pages + (spare < kPagesPerCheck ? spare : kPagesPerCheck));
}

// Runs of this many pages fit into a window. A larger one has windows of its own and stays whole,
// also while it is free; it lies in the bins above those of the others.
constexpr std::uint64_t kMostPagesInWindow = (kWindowBytes - kWindowDataAt) / kPageBytes;
constexpr unsigned kFirstBinOfLarger = std::bit_width(kPagesPerWindow) - 1;
static_assert(std::bit_width(kMostPagesInWindow) - 1 < kFirstBinOfLarger);

// A free run of at least `pages`, or 0.
Offset find(Journal& journal, std::uint64_t pages) {
  const bool larger = pages > kMostPagesInWindow;
  unsigned bin = static_cast<unsigned>(std::bit_width(pages) - 1);
  if (larger && bin < kFirstBinOfLarger) bin = kFirstBinOfLarger;
  Offset run = journal.get(FIELD(bins) + bin * sizeof(Offset));
  for (int tries = 0; run != 0 && tries < kTriesInOwnBin; ++tries) {
    if (pages_in(journal.get(head_of(run))) >= pages) return run;
    run = journal.get(next_of(run));
  }
  const unsigned end = larger ? kBins : kFirstBinOfLarger;
  for (++bin; bin < end; ++bin) {
    run = journal.get(FIELD(bins) + bin * sizeof(Offset));
    if (run != 0) return run;
  }
  return 0;
}

// The next unused windows, `count` of them.
std::uint64_t take_windows(Journal& journal, std::uint64_t count) {
  const std::uint64_t window = journal.get(FIELD(windows_used));
  if (window + count > kWindows) {
    kernel::throw_error(ENOSPC, "growth", "the arena beyond its 256 GiB");
  }
  journal.set(FIELD(windows_used), window + count);
  return window;
}

Offset stage_run(Journal& journal, std::uint64_t pages, std::uint32_t owner) {
  check_room(journal, pages);
  Offset run = find(journal, pages);
  std::uint64_t have = 0;
  if (run != 0) {
    have = pages_in(journal.get(head_of(run)));
    unlink(journal, run, have);
  } else {
    const std::uint64_t bytes = kWindowDataAt + pages * kPageBytes;
    const std::uint64_t count = (bytes + kWindowBytes - 1) / kWindowBytes;
    run = data_at(take_windows(journal, count));
    have = (count * kWindowBytes - kWindowDataAt) / kPageBytes;
  }
  const bool within_window = have <= kMostPagesInWindow;
  if (have > pages && within_window) {
    const Offset rest = run + pages * kPageBytes;
    bound(journal, rest, have - pages, 0);
    link(journal, rest, have - pages);
    have = pages;
  }
  if (within_window) {
    bound(journal, run, have, owner);
  } else {
    journal.set(head_of(run), make_head(have, owner));
  }
  add(journal, FIELD(used_pages), static_cast<std::int64_t>(have));
  const std::uint64_t warm = journal.get(FIELD(warm_pages));
  journal.set(FIELD(warm_pages), warm > have ? warm - have : 0);
  return run;
}

// The last word of a run, where a run that holds an object names it.
Offset entry_of(Offset run, std::uint64_t head) {
  return run + pages_in(head) * kPageBytes - kRunEntryBytes;
}

void stage_free_run(Journal& journal, Offset run) {
  const std::uint64_t was = journal.get(head_of(run));
  if ((was & kHolds) != 0) stage_release(journal, entry_of(run, was));
  std::uint64_t pages = pages_in(was);
  add(journal, FIELD(used_pages), -static_cast<std::int64_t>(pages));
  add(journal, FIELD(warm_pages), static_cast<std::int64_t>(pages));
  const std::uint64_t window = run / kWindowBytes;
  if (pages > kMostPagesInWindow) {
    journal.set(head_of(run), make_head(pages, 0));
    link(journal, run, pages);
    return;
  }
  const Offset after = run + pages * kPageBytes;
  if (after % kWindowBytes != 0) {
    const std::uint64_t head = journal.get(head_of(after));
    if (owner_in(head) == 0) {
      unlink(journal, after, pages_in(head));
      pages += pages_in(head);
    }
  }
  if (run > data_at(window)) {
    const Offset before = journal.get(words_of(run - kPageBytes) + offsetof(PageWords, foot));
    const std::uint64_t head = journal.get(head_of(before));
    if (owner_in(head) == 0) {
      unlink(journal, before, pages_in(head));
      pages += pages_in(head);
      run = before;
    }
  }
  bound(journal, run, pages, 0);
  link(journal, run, pages);
}

unsigned cell_class(std::uint64_t bytes) {
  return bytes <= 64 ? 0 : static_cast<unsigned>(std::bit_width(bytes - 1)) - 6;
}
Offset link_of(Offset cell) { return cell + offsetof(ObjectHeader, link); }

Offset stage_cell(Journal& journal, std::uint64_t bytes) {
  const unsigned size_class = cell_class(bytes);
  const Offset list = FIELD(cells) + size_class * sizeof(Offset);
  Offset cell = journal.get(list);
  if (cell != 0) {
    journal.set(list, journal.get(link_of(cell)));
    return cell;
  }
  const std::uint64_t cell_bytes = 64ull << size_class;
  cell = stage_run(journal, kCellRunBytes / kPageBytes, kFamilyOwned);
  // The run is not in use before the commit, so its cells can be chained by plain stores.
  const Offset end = cell + kCellRunBytes;
  for (Offset each = cell + cell_bytes; each < end; each += cell_bytes) {
    at<std::uint64_t>(link_of(each)) = each + cell_bytes < end ? each + cell_bytes : 0;
  }
  journal.set(list, cell + cell_bytes);
  return cell;
}

}  // namespace

Offset stage_allocate(Journal& journal, std::uint64_t bytes, std::uint32_t owner) {
  if (bytes <= kLargestCell) return stage_cell(journal, bytes);
  return stage_run(journal, (bytes + kPageBytes - 1) / kPageBytes, owner);
}

void stage_free(Journal& journal, Offset where, std::uint64_t bytes) {
  if (bytes > kLargestCell) {
    stage_free_run(journal, where);
    return;
  }
  const Offset list = FIELD(cells) + cell_class(bytes) * sizeof(Offset);
  journal.set(link_of(where), journal.get(list));
  journal.set(list, where);
}

void stage_owner(Journal& journal, Offset run, std::uint32_t owner) {
  const std::uint64_t head = journal.get(head_of(run));
  journal.set(head_of(run), make_head(head & 0xffffffff, owner));
}

bool run_holds(Offset run) {
  return (std::atomic_ref(at<std::uint64_t>(head_of(run))).load(std::memory_order_relaxed) &
          kHolds) != 0;
}

Offset stage_run_entry(Journal& journal, Offset run) {
  const std::uint64_t head = journal.get(head_of(run));
  const Offset entry = entry_of(run, head);
  if ((head & kHolds) == 0) {
    journal.set(head_of(run), head | kHolds);
    journal.set(entry, 0);
  }
  return entry;
}

void stage_move_entry(Journal& journal, Offset from, Offset to) {
  const std::uint64_t head = journal.get(head_of(from));
  if ((head & kHolds) == 0) return;
  const Offset entry = stage_run_entry(journal, to);
  journal.set(entry, journal.get(entry_of(from, head)));
  journal.set(head_of(from), head & ~kHolds);
}

Offset allocate_run(std::uint64_t bytes, sync::IfStuck if_stuck) {
  const std::uint64_t pages = bytes == 0 ? 1 : (bytes + kPageBytes - 1) / kPageBytes;
  if (pages > (kWindows - 1) * kPagesPerWindow) {
    kernel::throw_error(ENOSPC, "growth", "the arena beyond its 256 GiB");
  }
  ArenaJournal journal(if_stuck);
  const Offset run = stage_run(journal, pages, sync::self().bits);
  journal.commit();
  return run;
}

void free_run(Offset run) {
  const std::uint64_t bytes = run_bytes(run);
  const bool holds = run_holds(run);
  const bool cooled = cool(run, bytes);
  {
    ArenaJournal journal;
    stage_free_run(journal, run);
    if (cooled) add(journal, FIELD(warm_pages), -static_cast<std::int64_t>(bytes / kPageBytes));
    journal.commit();
  }
  if (holds) bury_the_dying();
}

std::uint64_t run_bytes(Offset run) {
  return pages_in(at<std::uint64_t>(head_of(run))) * kPageBytes;
}

bool is_run(Offset run, std::uint64_t bytes) {
  const std::uint64_t window = run / kWindowBytes;
  if (run % kPageBytes != 0 || run < data_at(window)) return false;
  if (window >= std::atomic_ref(header().windows_used).load(std::memory_order_relaxed))
    return false;
  const std::uint64_t head =
      std::atomic_ref(at<std::uint64_t>(head_of(run))).load(std::memory_order_relaxed);
  return owner_in(head) != 0 && bytes <= pages_in(head) * kPageBytes;
}

bool cool(Offset run, std::uint64_t bytes) {
  const std::uint64_t warm = std::atomic_ref(header().warm_pages).load(std::memory_order_relaxed);
  if (bytes < kCoolableBytes || warm + bytes / kPageBytes <= kWarmPagesKept) return false;
  // Whoever frees a run that holds an object reads which one from its last page.
  const std::uint64_t spared = run_holds(run) ? kPageBytes : 0;
  kernel::punch_hole(at(run, bytes), bytes - spared);
  return true;
}

namespace {

// Calls `visit(run, head)` for every run of every window until it returns true.
template <class Visit>
void walk(Journal& journal, Visit&& visit) {
  const std::uint64_t windows = header().windows_used;
  for (std::uint64_t window = 0; window < windows;) {
    Offset run = data_at(window);
    const Offset end = (window + 1) * kWindowBytes;
    while (run < end) {
      const std::uint64_t head = journal.get(head_of(run));
      FORKFUL_CHECK(pages_in(head) > 0);
      if (visit(run, head)) return;
      run += pages_in(head) * kPageBytes;
    }
    window = run / kWindowBytes;
  }
}

}  // namespace

void free_runs_of(MemberId member) {
  for (;;) {
    ArenaJournal journal;
    Offset found = 0;
    walk(journal, [&](Offset run, std::uint64_t head) {
      found = owner_in(head) == member.bits ? run : 0;
      return found != 0;
    });
    if (found == 0) return;
    stage_free_run(journal, found);
    journal.commit();
  }
}

void read_limits_by(ReadLimits read) { g_read_limits.store(read, std::memory_order_relaxed); }

HeapUse heap_use() {
  ArenaJournal journal;
  return {journal.get(FIELD(used_pages)) * kPageBytes, journal.get(FIELD(warm_pages)) * kPageBytes};
}

void format_heap() {
  ArenaJournal journal;
  const std::uint64_t window = take_windows(journal, 1);
  const Offset run = data_at(window);
  const std::uint64_t pages = ((window + 1) * kWindowBytes - run) / kPageBytes;
  bound(journal, run, pages, 0);
  link(journal, run, pages);
  journal.commit();
}

void check_heap() {
  ArenaJournal journal;
  std::uint64_t used = 0;
  std::uint64_t free_runs = 0;
  bool free_before = false;
  Offset expected = 0;
  walk(journal, [&](Offset run, std::uint64_t head) {
    const bool is_free = owner_in(head) == 0;
    if (pages_in(head) <= kMostPagesInWindow)
      FORKFUL_CHECK(journal.get(foot_of(run, pages_in(head))) == run);
    if (run == expected) FORKFUL_CHECK(!(is_free && free_before));
    free_before = is_free;
    expected = run + pages_in(head) * kPageBytes;
    if (is_free) {
      ++free_runs;
    } else {
      used += pages_in(head);
    }
    return false;
  });
  FORKFUL_CHECK(used == journal.get(FIELD(used_pages)));
  std::uint64_t listed = 0;
  for (unsigned bin = 0; bin < kBins; ++bin) {
    Offset before = 0;
    for (Offset run = header().bins[bin]; run != 0; run = journal.get(next_of(run))) {
      const std::uint64_t head = journal.get(head_of(run));
      FORKFUL_CHECK(owner_in(head) == 0);
      FORKFUL_CHECK(static_cast<unsigned>(std::bit_width(pages_in(head)) - 1) == bin);
      FORKFUL_CHECK(journal.get(prev_of(run)) == before);
      before = run;
      ++listed;
    }
  }
  FORKFUL_CHECK(listed == free_runs);
}

}  // namespace forkful::arena
