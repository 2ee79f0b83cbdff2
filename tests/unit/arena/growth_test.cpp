// The arena's file grows by windows, as far as the process may.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <forkful/errors.hpp>
#include <functional>

#include "arena/membership.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

// Alone in their processes, since the limit has to be there before the family is.
class GrowthDeathTest : public testing::Test {
 protected:
  GrowthDeathTest() { testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
};

constexpr rlim_t kMiB = 1 << 20;

void limit_files(rlim_t bytes) {
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes;
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

int refused_by(const std::function<void()>& action) {
  try {
    action();
  } catch (const OsError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.error();
  }
  return 0;
}

[[noreturn]] void join_where_no_window_fits() {
  limit_files(100 * kMiB);
  const bool refused = refused_by([] { join_family(); }) == EFBIG;
  limit_files(RLIM_INFINITY);
  join_family();  // and the remedy helps
  free_run(allocate_run(kPageBytes));
  ::_exit(refused ? 42 : 1);
}

TEST_F(GrowthDeathTest, a_limit_below_one_window_is_an_error_that_names_it) {
  EXPECT_EXIT(join_where_no_window_fits(), testing::ExitedWithCode(42),
              "to 256 MiB.*above 100 MiB.*RLIMIT_FSIZE.*ulimit -f");
}

[[noreturn]] void fill_to_the_limit() {
  limit_files(600 * kMiB);
  join_family();
  const Offset first = allocate_run(200 * kMiB);
  const Offset second = allocate_run(200 * kMiB);
  at(first, 200 * kMiB)[200 * kMiB - 1] = std::byte{1};
  at(second, 200 * kMiB)[200 * kMiB - 1] = std::byte{2};
  if (refused_by([] { (void)allocate_run(200 * kMiB); }) != EFBIG) ::_exit(1);
  // The runs that are there can be used still, and a member with a higher limit allocates more.
  free_run(first);
  free_run(allocate_run(200 * kMiB));
  check_heap();
  test::Child child = test::fork_child([&] {
    limit_files(RLIM_INFINITY);
    for (int i = 0; i < 4; ++i) {
      const Offset run = allocate_run(200 * kMiB);
      at(run, 200 * kMiB)[0] = std::byte{3};
      ArenaJournal journal;
      stage_owner(journal, run, kFamilyOwned);
      journal.commit();
    }
  });
  if (child.wait() != 0) ::_exit(2);
  // What another member has added is seen by all.
  const Offset last = 4 * kWindowBytes - 200 * kMiB;
  if (!is_run(last, 200 * kMiB) || at(last)[0] != std::byte{3}) ::_exit(3);
  free_run(last);
  if (refused_by([] { (void)allocate_run(2000 * kMiB); }) != EFBIG) ::_exit(4);
  check_heap();
  ::_exit(42);
}

TEST_F(GrowthDeathTest, windows_come_as_far_as_the_limit_reaches_and_nobody_is_killed) {
  EXPECT_EXIT(fill_to_the_limit(), testing::ExitedWithCode(42), "RLIMIT_FSIZE");
}

}  // namespace
}  // namespace forkful::arena
