// check_heap(): every structure of the heap is walked, and held against the others that speak of
// the same runs. For tests.
#include <forkful/errors.hpp>

#include "arena/heap.hpp"
#include "arena/small_blocks.hpp"
#include "arena/spare_runs.hpp"
#include "arena/window_set.hpp"
#include "base/check.hpp"

namespace forkful::arena {
namespace {

// What the heads of all runs say together.
struct Counts {
  std::uint64_t used = 0;  // pages that are not free
  std::uint64_t warm = 0;  // free pages that may be in memory
  std::uint64_t free_runs = 0;
  std::uint64_t members_runs = 0;
  std::uint64_t unwanted = 0;  // runs
  std::uint64_t spare = 0;     // pages

  void add(const Run& run) {
    if (run.is_free) {
      ++free_runs;
      warm += run.warm.count();
      return;
    }
    used += run.pages;
    unwanted += run.owner == kUnwanted ? 1 : 0;
    spare += run.owner == kSpare ? run.pages : 0;
    members_runs += is_members(run.owner) ? 1 : 0;
  }
};

// All runs lie side by side in their windows, and no two of them that are free. A large run ends
// beyond its first window, and the others have no bit in kBegins, so each run is met once.
Counts check_windows(Journal& journal) {
  Counts counts;
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
      counts.add(run);
      at = run.end();
    }
  }
  return counts;
}

// How many runs of `list` there are, each of which `is_right`. A list that leads in a circle comes
// to a run whose `prev` is another one.
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

// How many runs are in the bins, each in that of its size.
std::uint64_t count_in_bins(Journal& journal) {
  std::uint64_t count = 0;
  for (unsigned bin = 0; bin < kBins; ++bin) {
    const Offset list = FORKFUL_HEADER_FIELD(bins) + bin * sizeof(Offset);
    count += count_listed(
        journal, list, [&](const Run& run) { return run.is_free && bin_for(run.pages) == list; });
  }
  return count;
}

// How many runs the members name, each its own: at hand, and in their lists. An entry that nobody
// has is looked at as well: a member that died may not have been reaped yet. Entry 0 is nobody's.
std::uint64_t count_of_members(Journal& journal) {
  std::uint64_t count = 0;
  for (std::uint32_t index = 1; index < header().first_entry_unused; ++index) {
    const MemberId member = MemberId::of(index, 0);
    const auto is_its = [&](const Run& run, bool listed) {
      return !run.is_free && MemberId{run.owner}.index() == index && run.listed == listed;
    };
    count +=
        count_listed(journal, runs_of(member), [&](const Run& run) { return is_its(run, true); });
    for (std::uint32_t i = 0; i < kRunsAtHand; ++i) {
      const Offset at = journal.get(at_hand_of(member, i));
      if (at == 0) continue;
      FORKFUL_CHECK(is_its(read_whole(journal, at), false));
      ++count;
    }
  }
  return count;
}

// Its list leads one way only: whoever frees one takes the first.
std::uint64_t count_unwanted(Journal& journal) {
  std::uint64_t count = 0;
  for (Offset at = header().unwanted; at != 0; at = journal.get(next_of(at))) {
    FORKFUL_CHECK(read_whole(journal, at).owner == kUnwanted);
    ++count;
  }
  return count;
}

// The lists of spare runs have those of their size, as many as each word says. A word is the offset
// of a run and how many are left from there on, so the two are told apart by counting down.
void check_spares(Journal& journal) {
  for (std::uint64_t pages = 1; pages <= kSpareSizes; ++pages) {
    std::uint64_t word = journal.get(spares_of(pages));
    for (std::uint64_t left = spares_in(word); left > 0; --left) {
      FORKFUL_CHECK(spares_in(word) == left);
      const Run run = read_whole(journal, word - left);
      FORKFUL_CHECK(run.owner == kSpare && run.pages == pages);
      word = journal.get(next_of(run.at));
    }
    FORKFUL_CHECK(word == 0);
  }
}

// The bytes of all free small blocks.
std::uint64_t bytes_of_small_blocks(Journal& journal) {
  std::uint64_t bytes = 0;
  for (unsigned size_class = 0; size_class < kSmallBlockSizes; ++size_class) {
    const std::uint64_t block_bytes = bytes_of_class(size_class);
    for (Offset block = journal.get(free_blocks_of(size_class)); block != 0;
         block = journal.get(link_of(block))) {
      if (!can_be_small_block(block, block_bytes)) damaged();
      bytes += block_bytes;
    }
  }
  return bytes;
}

}  // namespace

std::uint64_t check_heap() {
  // Under the arena's lock, so nobody changes anything meanwhile, and what a dead member has
  // committed is applied before the first look.
  ArenaJournal journal;
  const Counts counts = check_windows(journal);
  FORKFUL_CHECK(counts.used == journal.get(FORKFUL_HEADER_FIELD(used_pages)));
  FORKFUL_CHECK(counts.warm == journal.get(FORKFUL_HEADER_FIELD(warm_pages)));
  FORKFUL_CHECK(counts.free_runs == count_in_bins(journal));
  FORKFUL_CHECK(counts.members_runs == count_of_members(journal));
  FORKFUL_CHECK(counts.unwanted == count_unwanted(journal));
  FORKFUL_CHECK(counts.spare == spare_pages(journal));
  check_spares(journal);
  // Small blocks are cut from runs of the family's, so their bytes are among those of used pages.
  const std::uint64_t free_bytes = bytes_of_small_blocks(journal);
  FORKFUL_CHECK(free_bytes + counts.spare * kPageBytes <= counts.used * kPageBytes);
  return (counts.used - counts.spare) * kPageBytes - free_bytes;
}

}  // namespace forkful::arena
