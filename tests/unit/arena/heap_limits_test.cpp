// The heap where memory, or the address space, is limited.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <forkful/errors.hpp>
#include <vector>

#include "heap_fixture.hpp"
#include "kernel/process_info.hpp"
#include "message/block.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

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
