// This process's part of the arena: its own list of holdings, which grows by a new list that takes
// the place of the old one in one commit.
#include "arena/local.hpp"

#include "arena/heap.hpp"

namespace forkful::arena {
namespace {

void note_free_entries(Local& here, std::uint64_t from, std::uint64_t to)
    FORKFUL_REQUIRES(here.mutex) {
  for (std::uint64_t i = to; i > from; --i) here.free_entries.push_back(i - 1);
}

// This member's list of holdings, which has room for `capacity`.
Offset own_holdings(std::uint64_t capacity) {
  const Offset list = member(get_self()).holdings;
  if (holdings_capacity(list) != capacity) damaged();
  return list;
}

}  // namespace

Local& local() {
  // Never destroyed: handles may outlive main.
  static Local* one = new Local;
  return *one;
}

void become(Local& here, MemberId me) {
  set_self(me);
  here.detached = !me || !claim_member(me, here.liveness.get());
  if (here.detached) {
    set_self({});
  } else {
    here.me = me;
  }
}

Offset entry_at(const Local& here, std::uint64_t index) {
  return holding_at(own_holdings(here.capacity), index);
}

void enlarge_holdings(MemberId me, std::uint64_t had, std::uint64_t capacity,
                      sync::IfStuck if_stuck) {
  ArenaJournal journal(if_stuck);
  const Offset old = member(me).holdings;
  const Offset larger = stage_holdings(journal, capacity);
  const std::uint64_t* from = &at<std::uint64_t>(old, holdings_bytes(had));
  std::uint64_t* to = &at<std::uint64_t>(larger, holdings_bytes(capacity));
  // The new list's memory is free until the commit, so it may be written plainly, but for the
  // word by which free memory is linked.
  for (std::uint64_t i = 1; i <= had; ++i) {
    if (i != kHoldingsLink) to[i] = from[i];
  }
  journal.set(larger + kHoldingsLink * sizeof(Offset), from[kHoldingsLink]);
  journal.set(kMembersAt + me.index() * sizeof(Member) + offsetof(Member, holdings), larger);
  stage_free(journal, old, holdings_bytes(had));
  journal.commit();
}

std::uint64_t take_entry(Local& here) {
  if (here.free_entries.empty()) {
    // With the capacity in front, the list has a power of two of words: 16, 32, ….
    const std::uint64_t capacity = here.capacity * 2 + 1;
    (void)own_holdings(here.capacity);
    enlarge_holdings(get_self(), here.capacity, capacity, sync::IfStuck::leave);
    note_free_entries(here, here.capacity, capacity);
    here.capacity = capacity;
  }
  const std::uint64_t entry = here.free_entries.back();
  here.free_entries.pop_back();
  return entry;
}

}  // namespace forkful::arena
