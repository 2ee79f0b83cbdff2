// What is free goes back to the kernel beyond a bound, and what is used in turn does not.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "heap_fixture.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

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

}  // namespace
}  // namespace forkful::arena
