// Forks beside busy threads, and the first use from several threads at once.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <forkful/bytes/cell.hpp>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

using bytes::Cell;

void join_from_many_threads() {
  constexpr int kThreads = 4;
  std::barrier start(kThreads);
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      start.arrive_and_wait();
      const Cell cell = Cell::create(64);
      made += cell.memory().size() == 64 && has_family() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  check_heap();
  ::_exit(made == kThreads ? 42 : 1);
}

TEST(FirstUseDeathTest, may_happen_in_several_threads_at_once) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";  // a process without a family yet
  EXPECT_EXIT(join_from_many_threads(), testing::ExitedWithCode(42), "");
}

TEST(FirstUseDeathTest, of_a_child_whose_parent_has_none_makes_a_family_of_its_own) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto body = [] {
    if (has_family()) ::_exit(1);
    test::Child child = test::fork_child([] {
      const Cell cell = Cell::create(64);
      FORKFUL_MUST(header().root.load() == sync::self().bits);
    });
    const bool good = child.wait() == 0 && !has_family();
    ::_exit(good ? 42 : 2);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(42), "");
}

// Nothing of ours that another thread holds may stay locked in the child.
TEST(Fork, beside_threads_that_allocate_and_map_never_blocks_the_child) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "forks beside threads";
  join_family();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    while (!stop) const Cell cell = Cell::create(100);
  });
  threads.emplace_back([&] {
    while (!stop) {
      const Offset run = allocate_run(kWindowBytes + kPageBytes);
      (void)at(run, kWindowBytes + kPageBytes);
      (void)map_window(run, kWindowBytes + kPageBytes);
      free_run(run);
    }
  });
  for (int i = 0; i < 60; ++i) {
    test::Child child = test::fork_child([] {
      const Cell cell = Cell::create(100);
      const Offset run = allocate_run(2 * kWindowBytes);
      FORKFUL_MUST(at(run, 2 * kWindowBytes) != nullptr);
      (void)map_window(run, 2 * kWindowBytes);
      free_run(run);
    });
    ASSERT_TRUE(child.member());
    ASSERT_EQ(child.wait(), 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  check_heap();
}

TEST(Fork, gives_each_child_another_name_than_its_parents) {
  join_family();
  const MemberId me = sync::self();
  std::atomic<int>& seen = test::shared<std::atomic<int>>();
  test::Child child = test::fork_child([&] {
    FORKFUL_MUST(sync::self() != me);
    FORKFUL_MUST(member(sync::self()).parent.load() == me.bits);
    FORKFUL_MUST(end_of(me) == End::alive);
    seen = static_cast<int>(sync::self().bits);
  });
  const MemberId expected = child.member();
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(static_cast<std::uint32_t>(seen.load()), expected.bits);
  EXPECT_EQ(sync::self(), me);
}

TEST(Fork, many_generations_deep_works) {
  join_family();
  const Cell cell = Cell::create(8);
  const std::uint64_t used = heap_use().used_bytes;
  std::function<void(int)> descend = [&](int depth) {
    cell.memory()[0] = static_cast<std::byte>(depth);
    if (depth == 0) return;
    test::Child child = test::fork_child([&] { descend(depth - 1); });
    FORKFUL_MUST(child.wait() == 0);
  };
  test::Child child = test::fork_child([&] { descend(12); });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(cell.memory()[0], std::byte{0});
  EXPECT_LE(heap_use().used_bytes, used + (64 << 10));
  check_heap();
}

}  // namespace
}  // namespace forkful::arena
