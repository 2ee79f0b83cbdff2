// The heap: what is allocated is disjoint, what is freed comes back.
#include "arena/heap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <forkful/errors.hpp>
#include <map>
#include <random>
#include <vector>

#include "heap_fixture.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

Offset allocate(std::uint64_t bytes) {
  ArenaJournal journal;
  const Offset where = stage_allocate(journal, bytes);
  journal.commit();
  return where;
}

void free(Offset where, std::uint64_t bytes) {
  ArenaJournal journal;
  stage_free(journal, where, bytes);
  journal.commit();
}

TEST_F(Heap, random_runs_never_overlap_and_all_come_back) {
  std::mt19937 random(test::seed());
  std::map<Offset, std::uint64_t> live;
  for (int i = 0; i < 4000; ++i) {
    if (live.empty() || random() % 5 < 3) {
      const std::uint64_t bytes = 1 + random() % (1u << (4 + random() % 18));
      const Offset run = allocate_run(bytes);
      ASSERT_TRUE(is_run(run, bytes));
      ASSERT_GE(run_bytes(run), bytes);
      const auto after = live.lower_bound(run);
      if (after != live.end()) {
        ASSERT_LE(run + run_bytes(run), after->first);
      }
      if (after != live.begin()) {
        ASSERT_LE(std::prev(after)->first + std::prev(after)->second, run);
      }
      live.emplace(run, run_bytes(run));
      std::memset(at(run, bytes), i, bytes < 64 ? bytes : 64);
    } else {
      auto victim = std::next(live.begin(), static_cast<long>(random() % live.size()));
      free_run(victim->first);
      live.erase(victim);
    }
    if (i % 500 == 0) check_heap();
  }
  for (const auto& [run, bytes] : live) free_run(run);
}

TEST_F(Heap, neighbours_that_are_freed_become_one_run_again) {
  constexpr std::uint64_t kPages = kSpareSizes + 4;  // smaller ones are spare at first
  const Offset a = allocate_run(kPages * kPageBytes);
  const Offset b = allocate_run(kPages * kPageBytes);
  const Offset c = allocate_run(kPages * kPageBytes);
  free_run(a);
  free_run(c);
  free_run(b);
  check_heap();
  const Offset whole = allocate_run(3 * kPages * kPageBytes);
  EXPECT_EQ(whole, std::min({a, b, c}));
  free_run(whole);
}

// They would be islands in what is free otherwise.
TEST_F(Heap, spare_runs_join_before_another_window_is_taken) {
  const std::uint64_t windows = header().windows_used;
  const Offset all = allocate_run((kMostPagesInWindow - 4000) * kPageBytes);
  free_run(all);
  std::vector<Offset> runs;
  for (int i = 0; i < 200; ++i) runs.push_back(allocate_run(2 * kPageBytes));
  for (const Offset run : runs) free_run(run);
  check_heap();
  for (int i = 0; i < 3; ++i) {
    const Offset again = allocate_run((kMostPagesInWindow - 4000) * kPageBytes);
    free_run(again);
    free_run(allocate_run(kPageBytes));
  }
  EXPECT_LE(header().windows_used, windows + 1);
}

TEST_F(Heap, a_small_run_that_is_freed_is_taken_again_as_it_is) {
  const Offset first = allocate_run(2 * kPageBytes);
  free_run(first);
  EXPECT_FALSE(is_run(first, 1));
  EXPECT_THROW(
      {
        ArenaJournal journal;
        stage_owner(journal, first, sync::self().bits);
      },
      Error);
  const Offset again = allocate_run(2 * kPageBytes);
  EXPECT_EQ(again, first);
  free_run(again);
}

TEST(HeapSmallBlocks, of_every_size_are_disjoint_and_are_used_again) {
  join_family();
  for (const std::uint64_t bytes : {1, 64, 65, 128, 200, 512, 1000, 2048}) {
    std::map<Offset, int> seen;
    std::vector<Offset> blocks;
    for (int i = 0; i < 1000; ++i) {
      const Offset block = allocate(bytes);
      EXPECT_EQ(block % base::kCacheLine, 0u);
      std::memset(at(block, bytes), i, bytes);
      seen[block] += 1;
      blocks.push_back(block);
    }
    EXPECT_EQ(seen.size(), 1000u);
    for (const Offset block : blocks) free(block, bytes);
    const std::uint64_t used = heap_use().used_bytes;
    for (Offset& block : blocks) block = allocate(bytes);
    for (const Offset block : blocks) free(block, bytes);
    EXPECT_EQ(heap_use().used_bytes, used);
  }
  check_heap();
}

TEST_F(Heap, a_run_may_be_larger_than_a_window) {
  constexpr std::uint64_t kBytes = kWindowBytes + (100 << 20);
  const Offset run = allocate_run(kBytes);
  ASSERT_TRUE(is_run(run, kBytes));
  std::byte* memory = at(run, kBytes);
  // Sparse: the first byte, one on each side of the window's border, the last.
  const std::uint64_t border = kWindowBytes - run % kWindowBytes;
  for (const std::uint64_t index : {std::uint64_t{0}, border - 1, border, kBytes - 1}) {
    memory[index] = std::byte{42};
  }
  const Offset small = allocate_run(1);
  EXPECT_FALSE(small >= run && small < run + kBytes);
  free_run(small);
  EXPECT_EQ(memory[border], std::byte{42});
  free_run(run);
  check_heap();
  const Offset again = allocate_run(kBytes);
  EXPECT_EQ(again, run) << "its windows are used again";
  free_run(again);
}

TEST_F(Heap, just_below_and_above_a_window_fit) {
  for (const std::int64_t more : {-2, -1, 0, 1, 2}) {
    const std::uint64_t bytes =
        kWindowBytes - kWindowDataAt +
        static_cast<std::uint64_t>(more * static_cast<std::int64_t>(kPageBytes));
    const Offset run = allocate_run(bytes);
    at(run, bytes)[bytes - 1] = std::byte{1};
    check_heap();
    free_run(run);
    check_heap();
  }
}

TEST_F(Heap, is_run_refuses_offsets_that_are_none) {
  const Offset run = allocate_run(8 * kPageBytes);
  EXPECT_TRUE(is_run(run, 8 * kPageBytes));
  EXPECT_FALSE(is_run(run, 8 * kPageBytes + 1));
  EXPECT_FALSE(is_run(run + 8, 1));
  EXPECT_FALSE(is_run(0, 1));
  EXPECT_FALSE(is_run(kHeaderAt, 1));
  EXPECT_FALSE(is_run(~std::uint64_t{0}, 1));
  EXPECT_FALSE(is_run(~std::uint64_t{0} & ~(kPageBytes - 1), 1));
  EXPECT_FALSE(is_run(kWindowBytes * (kWindows - 1) + kWindowDataAt, 1));
  free_run(run);
  EXPECT_FALSE(is_run(run, 1));
}

// An entry costs two stores, and what it is for a line of memory that two processes fetch in turn.
TEST_F(Heap, a_block_on_its_way_costs_the_journal_few_entries) {
  const Offset another = allocate_run(2 * kPageBytes);
  Offset run = 0;
  const auto entries_of = [&](auto&& stage) {
    ArenaJournal journal;
    stage(journal);
    const std::uint32_t entries = journal.staged();
    journal.commit();
    return entries;
  };
  const std::uint32_t me = sync::self().bits;
  const auto take = [&](Journal& journal) { run = stage_allocate(journal, 2 * kPageBytes, me); };
  EXPECT_LE(entries_of(take), 7U);
  EXPECT_LE(entries_of([&](Journal& journal) { stage_owner(journal, run, kFamilyOwned); }), 2U);
  EXPECT_LE(entries_of([&](Journal& journal) { stage_owner(journal, run, me); }), 2U);
  EXPECT_LE(entries_of([&](Journal& journal) { stage_free(journal, run, 2 * kPageBytes); }), 7U);
  free_run(another);
}

TEST_F(Heap, blocks_that_grow_find_room_in_the_windows_of_those_before) {
  constexpr std::uint64_t kMost = 40;
  const std::uint64_t before = header().windows_used;
  for (std::uint64_t windows = 1; windows <= kMost; ++windows) {
    const std::uint64_t bytes = windows * kWindowBytes - kWindowDataAt;
    const Offset run = allocate_run(bytes);
    at(run, bytes)[bytes - 1] = std::byte{1};
    free_run(run);
  }
  EXPECT_LE(header().windows_used, std::max(before, kMost + 1));
  check_heap();
}

TEST_F(Heap, empty_windows_side_by_side_are_one_block) {
  constexpr std::uint64_t kWhole = kWindowBytes - kWindowDataAt;
  constexpr std::uint64_t kEmpty = 24;  // to take them in one commit the journal has no room
  std::vector<Offset> runs;
  for (std::uint64_t i = 0; i < kEmpty; ++i) runs.push_back(allocate_run(kWhole - kPageBytes));
  const Offset lowest = *std::min_element(runs.begin(), runs.end());
  for (const Offset run : runs) {
    at(run)[0] = std::byte{1};
    free_run(run);
  }
  const Offset block = allocate_run(kEmpty * kWindowBytes - kWindowDataAt);
  EXPECT_EQ(block / kWindowBytes, lowest / kWindowBytes);
  EXPECT_FALSE(is_run(block + kWindowBytes, 1)) << "inside a block no other begins";
  check_heap();
  free_run(block);
  EXPECT_FALSE(is_run(block, 1));
}

TEST_F(Heap, what_the_dead_had_is_freed_and_nothing_else) {
  std::vector<Offset> mine;
  for (int i = 0; i < 100; ++i) mine.push_back(allocate_run(3 * kPageBytes));
  const std::uint64_t used = heap_use().used_bytes;
  test::Child child = test::fork_child([&] {
    std::vector<Offset> theirs;
    for (int i = 0; i < 300; ++i) theirs.push_back(allocate_run(2 * kPageBytes));
    for (int i = 0; i < 300; i += 3) free_run(theirs[static_cast<std::size_t>(i)]);
    (void)allocate_run(kWindowBytes);  // with a window of its own
    test::die();
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
  EXPECT_LE(heap_use().used_bytes, used);
  check_heap();
  for (const Offset run : mine) free_run(run);
}

}  // namespace
}  // namespace forkful::arena
