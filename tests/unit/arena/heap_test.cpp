// The heap: what is allocated is disjoint, what is freed comes back.
//
// Many a test says how much is in use or in memory, to the byte or to a bound, of a family that has
// done nothing before. So each has a process of its own, which ctest gives it.
#include "arena/heap.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <forkful/errors.hpp>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "arena/membership.hpp"
#include "kernel/process_info.hpp"
#include "message/block.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

class Heap : public testing::Test {
 protected:
  Heap() { join_family(); }
  ~Heap() override {
    check_heap();
    EXPECT_EQ(heap_use().used_bytes, used_before_);
  }
  std::uint64_t used_before_ = (join_family(), heap_use().used_bytes);
};

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

TEST_F(Heap, refuses_what_memory_cannot_hold) {
  for (const std::uint64_t gib : {200, 255, 256, 10000}) {
    try {
      free_run(allocate_run(gib << 30));
      ADD_FAILURE() << gib << " GiB were granted";
    } catch (const OsError& error) {
      EXPECT_EQ(error.error(), ENOSPC);
    }
  }
}

// A whole machine kills before its last page is used, so something has to be left.
TEST_F(Heap, keeps_a_reserve_of_the_machines_memory) {
  static std::uint64_t machine, machine_left, cgroup_left;
  read_limits_by([] { return kernel::MemoryLimits{machine, machine_left, cgroup_left}; });
  const auto granted = [](std::uint64_t bytes) {
    header().checked_pages = 0;  // so that the limits are looked at
    try {
      free_run(allocate_run(bytes));
      return true;
    } catch (const OsError& error) {
      EXPECT_EQ(error.error(), ENOSPC);
      return false;
    }
  };
  constexpr std::uint64_t kMiB = 1 << 20;
  constexpr std::uint64_t kGiB = 1 << 30;
  cgroup_left = kernel::kNoLimit;
  machine = 20 * kGiB;
  machine_left = 20 * kGiB * 3 / 100 + 2 * kMiB;
  EXPECT_TRUE(granted(kMiB));
  EXPECT_FALSE(granted(3 * kMiB)) << "3 % are spared";
  machine = 4096 * kGiB;
  machine_left = kGiB + 2 * kMiB;
  EXPECT_TRUE(granted(kMiB));
  EXPECT_FALSE(granted(3 * kMiB)) << "a GiB at most";
  machine = machine_left = 100 * kMiB;
  EXPECT_TRUE(granted(80 * kMiB));
  EXPECT_FALSE(granted(90 * kMiB)) << "16 MiB at least";
  machine = machine_left = 1000 * kGiB;
  cgroup_left = 100 * kMiB;
  EXPECT_TRUE(granted(80 * kMiB));
  EXPECT_FALSE(granted(90 * kMiB)) << "a cgroup's limit counts besides";
  machine = machine_left = kernel::kNoLimit;
  cgroup_left = kernel::kNoLimit;
  EXPECT_TRUE(granted(80 * kMiB)) << "no /proc, no limit";
  read_limits_by(kernel::memory_limits);
  header().checked_pages = 0;
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

// Punched by address: the arena's descriptor may be somebody else's by now.
TEST_F(Heap, large_free_runs_go_back_to_the_kernel_beyond_a_bound) {
  constexpr std::uint64_t kBytes = 8 << 20;
  std::vector<Offset> runs;
  for (int i = 0; i < 24; ++i) {
    runs.push_back(allocate_run(kBytes));
    std::memset(at(runs.back(), kBytes), 7, kPageBytes);
  }
  for (const Offset run : runs) free_run(run);
  EXPECT_LE(heap_use().warm_bytes, (128u << 20) + (300u << 20));
  int cold = 0;
  for (const Offset run : runs) cold += at(run, kBytes)[0] == std::byte{0} ? 1 : 0;
  EXPECT_GT(cold, 4);
}

// How many of the pages of `runs` the kernel has.
std::uint64_t pages_in_memory(const std::vector<Offset>& runs, std::uint64_t bytes) {
  std::uint64_t count = 0;
  for (const Offset run : runs) {
    std::vector<unsigned char> is_there(bytes / kPageBytes);
    EXPECT_EQ(::mincore(at(run, bytes), bytes, is_there.data()), 0);
    for (const unsigned char each : is_there) count += each & 1;
  }
  return count;
}

enum class Order { first_first, last_first, random, every_other };

class HeapBurst : public Heap, public testing::WithParamInterface<std::tuple<int, Order>> {};

TEST_P(HeapBurst, of_runs_goes_back_to_the_kernel_beyond_a_bound) {
  const auto [pages, order] = GetParam();
  const std::uint64_t bytes = static_cast<std::uint64_t>(pages) * kPageBytes;
  constexpr std::uint64_t kBurst = 320 << 20;
  constexpr std::uint64_t kBound = 128 << 20;
  std::vector<Offset> runs;
  for (std::uint64_t have = 0; have < kBurst; have += bytes) {
    runs.push_back(allocate_run(bytes));
    std::memset(at(runs.back(), bytes), 7, bytes);
  }
  std::vector<Offset> freed = runs;
  if (order == Order::last_first) std::reverse(freed.begin(), freed.end());
  if (order == Order::random) std::shuffle(freed.begin(), freed.end(), std::mt19937(test::seed()));
  std::vector<Offset> kept;
  if (order == Order::every_other) {
    freed.clear();
    for (std::size_t i = 0; i < runs.size(); ++i) (i % 2 != 0 ? kept : freed).push_back(runs[i]);
  }
  for (const Offset run : freed) free_run(run);
  check_heap();
  // Where nothing joins and runs are small, a call for each costs too much until twice that is
  // free.
  EXPECT_LE(pages_in_memory(freed, bytes) * kPageBytes, 2 * kBound);
  if (order != Order::every_other || bytes >= (64 << 10)) {
    EXPECT_LE(heap_use().warm_bytes, kBound + (2 << 20));
    EXPECT_LE(pages_in_memory(freed, bytes) * kPageBytes, kBound + (2 << 20));
  }
  for (const Offset run : kept) {
    EXPECT_EQ(at(run, bytes)[bytes - 1], std::byte{7});
    free_run(run);
  }
}

std::string name_of(const testing::TestParamInfo<std::tuple<int, Order>>& each) {
  const char* order = "";
  switch (std::get<1>(each.param)) {
    case Order::first_first:
      order = "_pages_first_first";
      break;
    case Order::last_first:
      order = "_pages_last_first";
      break;
    case Order::random:
      order = "_pages_random";
      break;
    case Order::every_other:
      order = "_pages_every_other";
      break;
  }
  return std::to_string(std::get<0>(each.param)) + order;
}

INSTANTIATE_TEST_SUITE_P(EverySize, HeapBurst,
                         testing::Combine(testing::Values(1, 2, 20, 300, 4000),
                                          testing::Values(Order::first_first, Order::last_first,
                                                          Order::random, Order::every_other)),
                         name_of);

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

// Warm pages are used again; what they cost is paid once.
TEST_F(Heap, what_is_used_in_turn_stays_in_memory) {
  constexpr std::uint64_t kBytes = 8 << 20;
  std::memset(at(allocate_run(kBytes), kBytes), 1, 1);
  free_runs_of(sync::self());
  const Offset first = allocate_run(kBytes);
  std::memset(at(first, kBytes), 7, kBytes);
  free_run(first);
  for (int i = 0; i < 100; ++i) {
    const Offset run = allocate_run(kBytes);
    ASSERT_EQ(run, first);
    ASSERT_EQ(at(run, kBytes)[kBytes - 1], std::byte{7});
    free_run(run);
  }
  EXPECT_LE(heap_use().warm_bytes, std::uint64_t{128 << 20});
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

TEST_F(Heap, who_is_killed_while_it_gives_memory_back_loses_none) {
  for (const kernel::FaultPoint point : test::FaultPoints{"heap.cooling", "heap.windows_cold"}) {
    const std::uint64_t used = heap_use().used_bytes;
    test::Child child = test::fork_child([&] {
      test::die_at(point);
      for (const std::uint64_t bytes : {200ull << 20, 300ull << 20}) free_run(allocate_run(bytes));
      test::must(false, "passed the fault point");
    });
    EXPECT_EQ(child.wait(), -SIGKILL) << point.name();
    EXPECT_LE(heap_use().used_bytes, used) << point.name();
    check_heap();
  }
}

// A sandbox lowers it when windows are still to come; destructors free what lies in the mapped
// ones.
TEST_F(Heap, a_limited_address_space_frees_without_an_error) {
  if (test::kThreadSanitizer || test::kAddressSanitizer) {
    GTEST_SKIP() << "a sanitizer needs the address space";
  }
  std::atomic<int>& go = test::shared<std::atomic<int>>();
  std::vector<Offset>& theirs = *new std::vector<Offset>;
  for (int i = 0; i < 20; ++i) theirs.push_back(allocate_run(2 * kPageBytes));
  // Fences, so that none of these joins another.
  for (int i = 0; i < 20; ++i) theirs.push_back(allocate_run(kPageBytes));
  test::Child child = test::fork_child([&] {
    FORKFUL_AWAIT(go == 1);
    rlimit limit{64 << 20, 64 << 20};
    ::setrlimit(RLIMIT_AS, &limit);
    {
      ArenaJournal journal;
      for (const Offset run : theirs) {
        stage_owner(journal, run, sync::self().bits);
        journal.commit();
      }
    }
    for (const Offset run : theirs) free_run(run);
    go = 2;
    FORKFUL_AWAIT(go == 3);
  });
  // The first of its bin is now in a window that the child has not mapped, and can not.
  const std::uint64_t far = header().windows_used;
  std::vector<Offset> fill;
  do {
    fill.push_back(allocate_run(2 * kPageBytes));
  } while (fill.back() / kWindowBytes < far);
  fill.push_back(allocate_run(kPageBytes));
  free_run(fill[fill.size() - 2]);
  fill.erase(fill.end() - 2);
  go = 1;
  FORKFUL_AWAIT(go == 2);
  tidy_heap();
  check_heap();
  for (const Offset run : theirs) EXPECT_FALSE(is_run(run, 1)) << "freed by one or the other";
  go = 3;
  EXPECT_EQ(child.wait(), 0);
  for (const Offset run : fill) free_run(run);
}

TEST_F(Heap, a_limited_address_space_refuses_and_leaks_nothing) {
  if (test::kThreadSanitizer || test::kAddressSanitizer) {
    GTEST_SKIP() << "a sanitizer needs the address space";
  }
  const std::uint64_t used = heap_use().used_bytes;
  test::Child child = test::fork_child([] {
    rlimit limit{256 << 20, 256 << 20};
    ::setrlimit(RLIMIT_AS, &limit);
    int error = 0;
    try {
      // More windows than were ever mapped here.
      (void)message::write_block({}, (header().windows_used + 2) * kWindowBytes);
    } catch (const OsError& refused) {
      error = refused.error();
    }
    FORKFUL_MUST(error == ENOMEM);
    check_heap();
  });
  EXPECT_EQ(child.wait(), 0);
  tidy_heap();  // what the child could not map is freed by others
  EXPECT_EQ(heap_use().used_bytes, used);
}

}  // namespace
}  // namespace forkful::arena
