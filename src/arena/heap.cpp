// Allocating and freeing: which of the heap's parts serves a request, in which order they are
// asked, and what is done where one of them fails. The parts have files of their own: spare runs,
// free runs, windows, small blocks.
#include "arena/heap.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <forkful/errors.hpp>

#include "arena/free_runs.hpp"
#include "arena/giving_back.hpp"
#include "arena/objects.hpp"
#include "arena/room_left.hpp"
#include "arena/small_blocks.hpp"
#include "arena/spare_runs.hpp"
#include "arena/window_set.hpp"
#include "kernel/error.hpp"

namespace forkful::arena {
namespace {

// At least one. Above what the arena can ever have the request fails here, before its pages are
// multiplied by anything.
std::uint64_t pages_for(std::uint64_t bytes) {
  const std::uint64_t pages = bytes / kPageBytes + (bytes % kPageBytes != 0 ? 1 : 0);
  if (pages > (kWindows - 1) * kPagesPerWindow) {
    kernel::throw_error(ENOSPC, "growth", "the arena beyond its 256 GiB");
  }
  return std::max<std::uint64_t>(pages, 1);
}

// A run that has windows of its own. `alone`: nothing is staged, so spare runs can join first,
// which empties windows.
Offset stage_windows(Journal& journal, std::uint64_t pages, std::uint32_t owner, bool alone) {
  if (alone) {
    journal.commit();
    (void)join_spares(journal);
  }
  const Offset at = data_at(take_windows(journal, windows_for(pages)));
  stage_used(journal, at, pages, owner);
  stage_more(journal, FORKFUL_HEADER_FIELD(used_pages), pages);
  return at;
}

// A part of a free run.
Offset stage_part(Journal& journal, std::uint64_t pages, std::uint32_t owner, bool alone) {
  auto found = find_free(journal, pages);
  if (!found && alone) {
    journal.commit();
    if (join_spares(journal)) found = find_free(journal, pages);
  }
  const Run whole = found ? *found : stage_new_window(journal, take_windows(journal, 1));
  require_foot(journal, whole);
  // Why from the end, unless only the other one is warm: the rest keeps its beginning, and with
  // that its place in its bin; so does what a run that is freed becomes part of.
  const bool from_front = whole.warm.begin == 0 && whole.warm.count() % whole.pages != 0;
  return stage_carved(journal, whole, from_front ? 0 : whole.pages - pages, pages, owner);
}

// From the cheapest source to the dearest: a spare run of just this size, which costs two words;
// a part of a free run; a new window.
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
  return pages > kMostPagesInWindow ? stage_windows(journal, pages, owner, alone)
                                    : stage_part(journal, pages, owner, alone);
}

// Relaxed: the caller has a run's offset from somebody who gave it that run, and whatever made the
// offset known made the head known, too. An offset that a rogue wrote may read anything, and what
// comes of it is checked.
std::uint64_t load(Offset word) {
  return std::atomic_ref(at<std::uint64_t>(word)).load(std::memory_order_relaxed);
}

// What begins at `at`; no pages where nothing does.
Run look_at(Offset at) { return can_be_page(at) ? read_head(at, load(head_of(at))) : Run{}; }

void stage_free_run(Journal& journal, Offset at) {
  const Run run = read_run(journal, at);
  if (!run.is_in_use()) damaged();  // freed twice, or never a run
  if (!run.holds && stage_spare(journal, run)) return;
  require_foot(journal, run);
  // A neighbour may lie in a window that this process has not mapped and cannot (RLIMIT_AS). Then
  // the run is put on the list of those that nobody needs, and some other member frees it.
  if (!run.has_windows()) {
    const std::uint32_t before = journal.staged();
    try {
      stage_joined(journal, run, {0, run.pages});
      return;
    } catch (const OsError&) {
      journal.drop(before);
    }
  }
  stage_unwanted(journal, run);
}

}  // namespace

Offset stage_allocate(Journal& journal, std::uint64_t bytes, std::uint32_t owner) {
  if (bytes > kLargestSmallBlock) return stage_run(journal, pages_for(bytes), owner);
  // Small blocks have no owner of their own: objects are made of them, which the family holds.
  if (const Offset block = stage_small_block(journal, bytes); block != 0) return block;
  const Offset run = stage_run(journal, pages_for(kSmallBlocksRunBytes), kFamilyOwned);
  return stage_cut(journal, run, bytes);
}

void stage_free(Journal& journal, Offset where, std::uint64_t bytes) {
  if (bytes > kLargestSmallBlock) {
    stage_free_run(journal, where);
  } else {
    stage_small_block_freed(journal, where, bytes);
  }
}

void stage_owner(Journal& journal, Offset at, std::uint32_t owner) {
  const Run run = read_run(journal, at);
  if (!run.is_in_use()) damaged();
  stage_unlisted(journal, run);
  stage_owned(journal, run, owner);
}

Offset allocate_run(std::uint64_t bytes, sync::IfStuck if_stuck) {
  tidy_heap();  // before the lock is taken: giving memory back to the kernel takes its time
  ArenaJournal journal(if_stuck);
  const Offset run = stage_run(journal, pages_for(bytes), sync::self().bits);
  journal.commit();
  return run;
}

bool run_holds(Offset at) { return look_at(at).holds; }

Offset stage_run_entry(Journal& journal, Offset at) {
  const Run run = read_run(journal, at);
  if (!run.holds) {
    // In one commit with the bit that says that it counts: what lay there before is no entry.
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
    // Asked before: afterwards the run is free, and says nothing of it.
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

std::uint64_t run_bytes(Offset at) {
  const Run run = look_at(at);
  if (run.pages == 0) damaged();
  return run.pages * kPageBytes;
}

bool is_run(Offset at, std::uint64_t bytes) {
  if (!can_be_page(at)) return false;
  // The head of a window that is not there must not be touched: that would make a page of it.
  const std::uint64_t window = at / kWindowBytes;
  if ((load(kBegins.word_of(window)) >> window % 64 & 1) == 0) return false;
  const Run run = look_at(at);
  return run.is_in_use() && bytes <= run.pages * kPageBytes;
}

bool is_allocated(Offset where, std::uint64_t bytes) {
  if (bytes > kLargestSmallBlock) return is_run(where, bytes);
  return can_be_small_block(where, bytes_of_class(small_block_class(bytes)));
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
  // A commit for each run: the journal has room for a few entries only, and whoever dies in here
  // leaves the rest to the next one.
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

PageUse heap_use() {
  // Spare runs count as used in the words, and as free for whoever asks.
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

}  // namespace forkful::arena
