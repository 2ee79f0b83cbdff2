// A member killed at any instruction of the heap's work: the heap is whole, and nothing is lost.
//
//   FORKFUL_STEPS=100000 tests more kill points than CI does.
//
// Each test has a process of its own, as ctest has it: it counts what is in use in its family.
#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "arena/heap.hpp"
#include "arena/members.hpp"
#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/stepper.hpp"

namespace forkful::arena {
namespace {

constexpr long kMostPoints = 150;
constexpr std::uint64_t kMiB = 1 << 20;

class HeapKilledAtAnyInstruction : public testing::Test {
 protected:
  void SetUp() override {
    if (test::kThreadSanitizer) GTEST_SKIP() << "it steps through the sanitizer";
    join_family();
    // What the first of each kind takes and keeps.
    reap(reserve_member(0, sync::self(), sync::self()), End::died);
  }

  // `prepare`, then the victim does `body`, then `clean_up`, which may come twice: the heap is as
  // it was.
  static void kill_everywhere(
      const std::function<void()>& body, const std::function<void()>& prepare = [] {},
      const std::function<void()>& clean_up = [] {}) {
    const auto try_at = [&](long steps) {
      prepare();
      test::step_and_kill(steps, body);
      clean_up();
      tidy_heap();
      check_heap();
    };
    try_at(1);
    const std::uint64_t used = heap_use().used_bytes;
    prepare();
    test::at_many_instructions(kMostPoints, body, [&](long steps) {
      clean_up();
      try_at(steps);
      ASSERT_EQ(heap_use().used_bytes, used);
    });
  }
};

TEST_F(HeapKilledAtAnyInstruction, of_taking_and_freeing_windows) {
  kill_everywhere([] { free_run(allocate_run(300 * kMiB)); });
}

TEST_F(HeapKilledAtAnyInstruction, of_giving_memory_back_to_the_kernel) {
  kill_everywhere([] { free_run(allocate_run(160 * kMiB)); });
}

TEST_F(HeapKilledAtAnyInstruction, of_freeing_between_free_neighbours) {
  std::array<Offset, 3> runs{};
  kill_everywhere([&] { free_run(runs[1]); },
                  [&] {
                    for (Offset& run : runs) run = allocate_run((kSpareSizes + 1) * kPageBytes);
                    free_run(runs[0]);
                    free_run(runs[2]);
                  },
                  [&] {
                    if (is_run(runs[1], 1)) free_run(runs[1]);
                  });
}

// One run more than are at hand, so that the last is in the member's list.
TEST_F(HeapKilledAtAnyInstruction, of_sending_and_receiving_blocks) {
  kill_everywhere([] {
    std::array<Offset, kRunsAtHand + 1> runs{};
    for (Offset& run : runs) run = allocate_run(2 * kPageBytes);
    for (const Offset run : {runs.front(), runs.back()}) {
      ArenaJournal journal;
      stage_owner(journal, run, kFamilyOwned);
      stage_owner(journal, run, sync::self().bits);
      journal.commit();
    }
    for (const Offset run : runs) free_run(run);
  });
}

// A block of windows wants all that is free, and the spare ones among it.
TEST_F(HeapKilledAtAnyInstruction, of_joining_spare_runs) {
  kill_everywhere([] { free_run(allocate_run(300 * kMiB)); },
                  [] {
                    std::array<Offset, 4> runs{};
                    for (Offset& run : runs) run = allocate_run(3 * kPageBytes);
                    for (const Offset run : runs) free_run(run);
                  });
}

TEST_F(HeapKilledAtAnyInstruction, of_freeing_what_a_dead_member_had) {
  MemberId dead;
  kill_everywhere([&] { reap(dead, End::died); },
                  [&] {
                    dead = reserve_member(0, sync::self(), sync::self());
                    for (const std::uint64_t bytes : {3 * kPageBytes, 300 * kMiB, 9 * kPageBytes}) {
                      const Offset run = allocate_run(bytes);
                      ArenaJournal journal;
                      stage_owner(journal, run, dead.bits);
                      journal.commit();
                    }
                  },
                  [&] { reap(dead, End::died); });
}

}  // namespace
}  // namespace forkful::arena
