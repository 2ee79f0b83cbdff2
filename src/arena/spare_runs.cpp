#include "arena/spare_runs.hpp"

#include <forkful/errors.hpp>

#include "arena/free_runs.hpp"

namespace forkful::arena {
namespace {

// So many pages of one size are spare at most. A guess: a MiB of each of the 16 sizes is 16 MiB,
// an eighth of what the heap keeps warm, and serves 16 messages of the largest size at a time.
constexpr std::uint64_t kMostSparePages = (1ull << 20) / kPageBytes;
static_assert(spares_in(kMostSparePages) == kMostSparePages, "the count must fit beside an offset");
static_assert(kMostSparePages >= kSpareSizes, "one of each size must be possible");

}  // namespace

bool stage_spare(Journal& journal, const Run& run) {
  if (run.pages > kSpareSizes) return false;
  const Offset list = spares_of(run.pages);
  const std::uint64_t others = journal.get(list);
  const std::uint64_t count = spares_in(others);
  if ((count + 1) * run.pages > kMostSparePages) return false;
  stage_unlisted(journal, run);
  // In use still, to its neighbours and in `used_pages`: so neither has to be written, and
  // heap_use() takes the spare ones off again.
  journal.set(head_of(run.at), head_of_used({.pages = run.pages}, kSpare, false));
  // A run that comes and goes at the head of its list has this word from the last time.
  stage_if_new(journal, next_of(run.at), others);
  journal.set(list, run.at + count + 1);
  return true;
}

Run stage_unspared(Journal& journal, std::uint64_t pages) {
  const Offset list = spares_of(pages);
  const std::uint64_t word = journal.get(list);
  if (word == 0) return {};
  // Any member may have written over the word, so what it leads to must be a spare run of the size.
  const Offset at = word - spares_in(word);
  Run run = can_be_page(at) ? read_head(at, journal.get(head_of(at))) : Run{};
  if (run.is_free || run.owner != kSpare || run.pages != pages) run = {};
  // What a rogue member has damaged is left lying, with those after it: nobody knows where the list
  // goes on.
  journal.set(list, run.pages != 0 ? journal.get(next_of(at)) : 0);
  return run;
}

bool join_spares(Journal& journal) {
  bool any = false;
  for (std::uint64_t pages = 1; pages <= kSpareSizes; ++pages) {
    while (journal.get(spares_of(pages)) != 0) {
      try {
        const Run run = stage_unspared(journal, pages);
        // All of its pages may be in memory, since nothing of a spare run goes back to the kernel.
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

// By the counts in the first words: each figure of the heap asks for it, under the arena's lock.
std::uint64_t spare_pages(Journal& journal) {
  std::uint64_t all = 0;
  for (std::uint64_t pages = 1; pages <= kSpareSizes; ++pages) {
    all += spares_in(journal.get(spares_of(pages))) * pages;
  }
  return all;
}

}  // namespace forkful::arena
