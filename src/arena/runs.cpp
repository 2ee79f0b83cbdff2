// Writing the words of runs: their bounds, and the lists that they are in. Each list is doubly
// linked by offsets, and each step checks that both neighbours agree. Where they do not it throws,
// and what is staged by then is never committed, so a word that a rogue member wrote is found and
// never spread.
#include "arena/runs.hpp"

#include <optional>

namespace forkful::arena {
namespace {

constexpr std::uint64_t head_of_free(std::uint64_t pages, const Pages& warm) {
  return kFree | pages | (warm.end << 16 | warm.begin) << kPageBits;
}

// The word at a member's hand that says `value`: a run's offset, or 0 for a word that is free.
std::optional<Offset> find_at_hand(Journal& journal, MemberId member, Offset value) {
  for (std::uint32_t i = 0; i < kRunsAtHand; ++i) {
    if (journal.get(at_hand_of(member, i)) == value) return at_hand_of(member, i);
  }
  return std::nullopt;
}

// The last page leads back to the first. Freeing joins a run with what is before it by that.
void stage_foot(Journal& journal, const Run& run) {
  stage_if_new(journal, foot_of(run.end() - kPageBytes), run.at);
}

void stage_bounds_of_free(Journal& journal, const Run& run) {
  journal.set(head_of(run.at), head_of_free(run.pages, run.warm));
  stage_foot(journal, run);
}

// Stages that another run has the place of the first one of `list`. Cheaper than to unlink the one
// and link the other: the list's word is written once.
void replace_first(Journal& journal, Offset list, Offset was, Offset now) {
  const Offset next = journal.get(next_of(was));
  if (next != 0 && (!can_be_page(next) || journal.get(prev_of(next)) != was)) damaged();
  journal.set(next_of(now), next);
  journal.set(prev_of(now), 0);
  if (next != 0) journal.set(prev_of(next), now);
  journal.set(list, now);
}

}  // namespace

void link(Journal& journal, Offset list, Offset run) {
  const Offset first = journal.get(list);
  if (first != 0 && !can_be_page(first)) damaged();
  journal.set(next_of(run), first);
  journal.set(prev_of(run), 0);
  if (first != 0) journal.set(prev_of(first), run);
  journal.set(list, run);
}

// By the one word that leads to it, in the run before it or in the bin.
bool is_listed(Journal& journal, const Run& run) {
  const Offset prev = journal.get(prev_of(run.at));
  if (prev != 0 && !can_be_page(prev)) return false;
  return journal.get(prev != 0 ? next_of(prev) : bin_for(run.pages)) == run.at;
}

void unlink(Journal& journal, Offset list, Offset run) {
  // The run's own `next` and `prev` stay as they are: nobody reads them until it is linked again.
  const Offset next = journal.get(next_of(run));
  const Offset prev = journal.get(prev_of(run));
  if ((next != 0 && !can_be_page(next)) || (prev != 0 && !can_be_page(prev))) damaged();
  const Offset from = prev != 0 ? next_of(prev) : list;
  if (journal.get(from) != run) damaged();
  journal.set(from, next);
  if (next == 0) return;
  if (journal.get(prev_of(next)) != run) damaged();
  journal.set(prev_of(next), prev);
}

void stage_owned(Journal& journal, const Run& run, std::uint32_t owner) {
  bool listed = false;
  if (is_members(owner)) {
    // A word at hand that is free takes it: one entry of the journal, and one when it goes.
    if (const auto hand = find_at_hand(journal, {owner}, 0)) {
      journal.set(*hand, run.at);
    } else {
      link(journal, runs_of({owner}), run.at);
      listed = true;
    }
  }
  journal.set(head_of(run.at), head_of_used(run, owner, listed));
}

void stage_used(Journal& journal, Offset at, std::uint64_t pages, std::uint32_t owner) {
  const Run run{.at = at, .pages = pages, .owner = owner};
  stage_owned(journal, run, owner);
  // A run with windows of its own has no neighbour that could join it.
  if (!run.has_windows()) stage_foot(journal, run);
}

// A bit of the head and nothing else: whose run it is, and where it is listed, stays so.
void stage_holding(Journal& journal, Offset at, bool holds) {
  const std::uint64_t head = journal.get(head_of(at));
  journal.set(head_of(at), holds ? head | kHolds : head & ~kHolds);
}

void stage_unused(Journal& journal, const Run& run) {
  stage_bounds_of_free(journal, run);
  link(journal, bin_for(run.pages), run.at);
}

void stage_became(Journal& journal, const Run& was, const Run& now) {
  const Offset bin = bin_for(now.pages);
  // Already at the head of the right bin: at most its own offset has changed.
  if (bin_for(was.pages) != bin || journal.get(bin) != was.at) {
    unlink(journal, bin_for(was.pages), was.at);
    link(journal, bin, now.at);
  } else if (now.at != was.at) {
    replace_first(journal, bin, was.at, now.at);
  }
  stage_bounds_of_free(journal, now);
}

// What is the family's, spare or unwanted is at nobody's hand. The lists of the last two lead one
// way only, and whoever takes a run from one of them takes the first.
void stage_unlisted(Journal& journal, const Run& run) {
  if (run.is_free) {
    unlink(journal, bin_for(run.pages), run.at);
  } else if (run.listed) {
    unlink(journal, runs_of({run.owner}), run.at);
  } else if (is_members(run.owner)) {
    const auto hand = find_at_hand(journal, {run.owner}, run.at);
    if (!hand) damaged();
    journal.set(*hand, 0);
  }
}

}  // namespace forkful::arena
