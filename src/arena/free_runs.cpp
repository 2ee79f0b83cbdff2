#include "arena/free_runs.hpp"

#include <bit>
#include <utility>

#include "arena/objects.hpp"

namespace forkful::arena {
namespace {

// A run's own bin also has runs that are too small for it, so a few are looked at, and then the
// larger bins, in which any will do. A guess: each look may be a cache miss, while others wait for
// the journal. It also ends a list that a rogue member has made lead in a circle.
constexpr int kTriesInOwnBin = 16;

// The bins that a window's runs can be in.
constexpr unsigned kBinsInUse = std::bit_width(kMostPagesInWindow);
static_assert(kBinsInUse <= kBins);

// Set when the change is staged and not when it is committed, so whoever uses it looks again
// whether there is such a free run.
thread_local Joined t_joined;

Run read_free(Journal& journal, Offset at) {
  const Run run = read_run(journal, at);
  if (!run.is_free) damaged();
  return run;
}

}  // namespace

std::optional<Run> find_free(Journal& journal, std::uint64_t pages) {
  auto bin = static_cast<unsigned>(std::bit_width(pages) - 1);
  Offset at = journal.get(bin_for(pages));
  for (int tries = 0; at != 0 && tries < kTriesInOwnBin; ++tries) {
    const Run run = read_free(journal, at);
    if (run.pages >= pages) return run;
    at = journal.get(next_of(at));
  }
  for (++bin; bin < kBinsInUse; ++bin) {
    at = journal.get(FORKFUL_HEADER_FIELD(bins) + bin * sizeof(Offset));
    if (at == 0) continue;
    const Run run = read_free(journal, at);
    // No run in the bin of a larger power of two is shorter, unless its head was written over.
    if (run.pages < pages) damaged();
    return run;
  }
  return std::nullopt;
}

Offset stage_carved(Journal& journal, const Run& whole, std::uint64_t from, std::uint64_t pages,
                    std::uint32_t owner) {
  const std::uint64_t to = from + pages;
  const Run before = whole.part(0, from);
  const Run after = whole.part(to, whole.pages);
  // One of the parts that stay free takes over the whole run's place in its bin, so only where both
  // are left is one entered anew.
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
  stage_more(journal, FORKFUL_HEADER_FIELD(used_pages), pages);
  // A page in use is not counted as warm, whether or not it is in memory.
  const std::uint64_t warm = whole.warm.count() - before.warm.count() - after.warm.count();
  if (warm != 0) stage_less(journal, FORKFUL_HEADER_FIELD(warm_pages), warm);
  return taken.at;
}

void stage_joined(Journal& journal, const Run& freed, const Pages& warm) {
  // In the commit that frees the run, so a death gives back what it holds with it or not at all.
  if (freed.holds) stage_release(journal, entry_of(freed));
  stage_unlisted(journal, freed);
  Run all{.at = freed.at, .pages = freed.pages, .is_free = true, .warm = warm};
  std::uint64_t counted = 0;
  std::optional<Run> place;  // whose place in the bins it has from now on
  // A run never goes on in the next window, which begins with words of its own.
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
      // Of three that join, the first keeps its place: its beginning stays what it was.
      if (place) stage_unlisted(journal, *place);
      // A stale offset must find no run in use there. The old head of the run after it may stay,
      // since it says that it is free.
      journal.set(head_of(freed.at), 0);
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
  stage_less(journal, FORKFUL_HEADER_FIELD(used_pages), freed.pages);
  // Between the warm pages of two joined runs there may be cold ones: they count as warm now.
  const std::uint64_t more = all.warm.count() - counted;
  if (more != 0) stage_more(journal, FORKFUL_HEADER_FIELD(warm_pages), more);
  t_joined = {all.at, freed.at, freed.pages};
}

Run stage_new_window(Journal& journal, std::uint64_t window) {
  const Offset at = data_at(window);
  // Nothing of it counts as warm: its pages are new, or went back to the kernel.
  const Run run{
      .at = at, .pages = ((window + 1) * kWindowBytes - at) / kPageBytes, .is_free = true};
  stage_unused(journal, run);
  return run;
}

Joined take_last_joined() noexcept { return std::exchange(t_joined, {}); }

}  // namespace forkful::arena
