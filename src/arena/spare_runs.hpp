// Spare runs: small ones that were freed and stay as they are, for the next of their size.
//
// Messages of a few pages come and go. One that is freed does not join its neighbours at once, and
// the next one of its size takes it without a look at what lies beside it, so the two cost a few
// words of the journal each. Before the heap takes another window, all of them join.
//
// The spare runs of a size are a list whose first word, in the header, has the first one's offset
// and in its low bits how many there are. The `next` of each has what that word was before it.
#pragma once

#include "arena/runs.hpp"

namespace forkful::arena {

inline Offset spares_of(std::uint64_t pages) {
  return FORKFUL_HEADER_FIELD(spares) + (pages - 1) * sizeof(std::uint64_t);
}
// How many the list has whose first word that is.
constexpr std::uint64_t spares_in(std::uint64_t word) { return word % kPageBytes; }

// Stages that a run in use, which holds nothing, is spare; false where there are enough, or where
// it is no small one.
[[nodiscard]] bool stage_spare(Journal& journal, const Run& run);
// Stages that one of so many pages is so no more, and returns it; no pages where there is none.
Run stage_unspared(Journal& journal, std::uint64_t pages);

// Has the spare runs join their neighbours, one by one, since the journal has no room for all;
// whether there were any. Requires: nothing is staged.
bool join_spares(Journal& journal);

// The pages of all of them.
std::uint64_t spare_pages(Journal& journal);

}  // namespace forkful::arena
