// Words of shared memory that a rogue member has overwritten are an error or nothing, not a crash.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <exception>
#include <forkful/bytes/cell.hpp>
#include <random>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

using bytes::Cell;

// A family of one process, some words of which are overwritten before it goes on.
class Rogue {
 public:
  explicit Rogue(unsigned seed) : random_(seed) {
    join_family();
    for (int i = 0; i < 30; ++i) {
      runs_.push_back(allocate_run(pick(40) * kPageBytes + 1));
      cells_.push_back(Cell::create(pick(6000) + 1));
    }
    for (int i = 0; i < 10; ++i) free_one();
    gone_ = reserve_member(0, sync::self(), sync::self());
  }

  void damage() {
    for (std::uint64_t words = pick(3) + 1; words > 0; --words) {
      const Offset where = somewhere();
      if (where == 0) continue;
      at<std::uint64_t>(where) = something(at<std::uint64_t>(where));
    }
  }

  void go_on() {
    for (int i = 0; i < 60; ++i) {
      try {
        step();
      } catch (const std::exception&) {
        ++errors_;
      }
    }
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  void free_one() {
    const std::size_t index = pick(runs_.size());
    free_run(runs_[index]);
    runs_.erase(runs_.begin() + static_cast<long>(index));
  }

  void step() {
    switch (pick(6)) {
      case 0:
        runs_.push_back(allocate_run(pick(100) * kPageBytes + 1));
        break;
      case 1:
        if (!runs_.empty()) free_one();
        break;
      case 2:
        cells_.push_back(Cell::create(pick(9000) + 1));
        break;
      case 3:
        if (!cells_.empty()) cells_.erase(cells_.begin());
        break;
      case 4:
        if (gone_) reap(gone_, End::died);
        gone_ = {};
        gone_ = reserve_member(0, sync::self(), sync::self());
        break;
      default: {
        const Offset run = runs_.empty() ? 0 : runs_[pick(runs_.size())];
        if (is_run(run, pick(100) * kPageBytes)) (void)at(run, run_bytes(run))[0];
        break;
      }
    }
  }

  // A word of the heap, of members or of objects. No lock: whoever waits for one that names a
  // member that lives, waits.
  Offset somewhere() {
    switch (pick(5)) {
      case 0:
        return kFirstWindowDataAt / kPageBytes * sizeof(PageWords) + pick(1200) * 8;
      case 1: {
        constexpr Offset kFirst = offsetof(Header, first_entry_unused) + 4;
        static_assert(kFirst % 8 == 0);
        return kHeaderAt + kFirst + pick((offsetof(Header, journal) - kFirst) / 8) * 8;
      }
      case 2:
        return kMembersAt + (1 + pick(2)) * sizeof(Member) +
               (pick(2) == 0 ? pick(9) * 8 : offsetof(Member, at_hand) + pick(kRunsAtHand) * 8);
      case 3: {
        // It may have been written over before.
        const Offset holdings = member(sync::self()).holdings;
        return can_be_object(holdings) ? holdings + pick(16) * 8 : 0;
      }
      default: {
        const Offset holdings = member(sync::self()).holdings;
        if (!can_be_object(holdings)) return 0;
        const Offset object = at<Offset>(holding_at(holdings, pick(12)));
        return can_be_object(object) ? object + pick(sizeof(ObjectHeader) / 8) * 8 : 0;
      }
    }
  }

  std::uint64_t something(std::uint64_t was) {
    switch (pick(5)) {
      case 0:
        return random_() | std::uint64_t{random_()} << 32;
      case 1:
        return pick(1000);
      case 2:
        return was ^ std::uint64_t{1} << pick(64);
      case 3:
        return was + (pick(5) - 2) * kPageBytes;
      default:
        return kFirstWindowDataAt + pick(2000) * 64;
    }
  }

  std::mt19937 random_;
  std::vector<Offset> runs_;
  std::vector<Cell> cells_;
  MemberId gone_;
  int errors_ = 0;
};

int end_of_rogue(unsigned seed) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const rlimit no_core{};
    ::setrlimit(RLIMIT_CORE, &no_core);
    constexpr unsigned kMostSeconds = 30;
    ::alarm(kMostSeconds);
    {
      Rogue rogue(seed);
      rogue.damage();
      rogue.go_on();
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

// In a process without a family, so that each child makes one of its own.
[[noreturn]] void try_seeds(unsigned first, unsigned count) {
  int crashes = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (const int status = end_of_rogue(first + i); status != 0) {
      std::fprintf(stderr, "FORKFUL_SEED=%u ends with status %d\n", first + i, status);
      ++crashes;
    }
  }
  ::_exit(crashes == 0 ? 42 : 1);
}

TEST(DamageDeathTest, overwritten_words_are_an_error_or_nothing) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  // More with FORKFUL_SEEDS=5000.
  const auto count = static_cast<unsigned>(test::from_environment("FORKFUL_SEEDS", 300));
  EXPECT_EXIT(try_seeds(test::seed(), count), testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace forkful::arena
