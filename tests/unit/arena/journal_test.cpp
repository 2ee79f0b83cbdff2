// A change through the journal happens wholly or not at all, whoever is killed where.
//
// Each test has a process of its own, as ctest has it: it counts what is in use in its family.
#include "arena/journal.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <forkful/errors.hpp>

#include "arena/membership.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

constexpr int kWords = 8;

struct KillAt {
  kernel::FaultPoint point;
  int pass;
  bool committed;
};

class JournalKilledAt : public testing::TestWithParam<KillAt> {
 protected:
  JournalKilledAt() {
    join_family();
    run_ = allocate_run(kPageBytes);
    for (int i = 0; i < kWords; ++i) word(i) = 1;
  }
  ~JournalKilledAt() override {
    free_run(run_);
    check_heap();
  }
  std::uint64_t& word(int index) const { return at<std::uint64_t>(where(index)); }
  [[nodiscard]] Offset where(int index) const { return run_ + static_cast<Offset>(index) * 8; }
  Offset run_;
};

TEST_P(JournalKilledAt, a_change_of_many_words_is_whole_or_absent) {
  const KillAt& at = GetParam();
  test::Child child = test::fork_child([&] {
    ArenaJournal journal;
    for (int i = 0; i < kWords; ++i) journal.set(where(i), 2);
    test::die_at(at.point, at.pass);
    journal.commit();
  });
  EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
  {
    const ArenaJournal repaired;
  }
  for (int i = 0; i < kWords; ++i) EXPECT_EQ(word(i), at.committed ? 2u : 1u) << i;
  process_ended(child.member());
}

TEST_P(JournalKilledAt, an_allocation_is_given_back_or_never_was) {
  const KillAt& at = GetParam();
  const std::uint64_t used = heap_use().used_bytes;
  test::Child child = test::fork_child([&] {
    test::die_at(at.point, at.pass);
    (void)allocate_run(5 * kPageBytes);
    test::must(false, "passed the fault point");
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
  check_heap();
  EXPECT_LE(heap_use().used_bytes, used);
}

TEST_P(JournalKilledAt, a_release_can_be_gone_on_with) {
  const KillAt& at = GetParam();
  const std::uint64_t used = heap_use().used_bytes;
  test::Child child = test::fork_child([&] {
    const Offset a = allocate_run((kSpareSizes + 1) * kPageBytes);
    const Offset b = allocate_run((kSpareSizes + 1) * kPageBytes);
    free_run(a);
    test::die_at(at.point, at.pass);
    free_run(b);
    test::must(false, "passed the fault point");
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
  check_heap();
  EXPECT_LE(heap_use().used_bytes, used);
}

TEST_P(JournalKilledAt, a_survivor_killed_in_the_repair_is_survived_too) {
  const KillAt& at = GetParam();
  test::Child first = test::fork_child([&] {
    ArenaJournal journal;
    for (int i = 0; i < kWords; ++i) journal.set(where(i), 2);
    test::die_at(at.point, at.pass);
    journal.commit();
  });
  EXPECT_EQ(first.wait_without_reaping(), -SIGKILL);
  test::Child second = test::fork_child([&] {
    test::die_at("journal.applying", 2);
    const ArenaJournal repaired;
    test::die();
  });
  EXPECT_EQ(second.wait_without_reaping(), -SIGKILL);
  {
    const ArenaJournal repaired;
  }
  for (int i = 0; i < kWords; ++i) EXPECT_EQ(word(i), at.committed ? 2u : 1u) << i;
  process_ended(first.member());
  process_ended(second.member());
}

INSTANTIATE_TEST_SUITE_P(
    EveryFaultPoint, JournalKilledAt,
    testing::Values(KillAt{"journal.staged", 1, false}, KillAt{"journal.committed", 1, true},
                    KillAt{"journal.applying", 1, true}, KillAt{"journal.applying", 2, true},
                    KillAt{"journal.applying", 3, true}, KillAt{"journal.applying", 5, true}),
    [](const auto& each) {
      std::string name =
          each.param.point.name() + std::string("_") + std::to_string(each.param.pass);
      for (char& c : name) c = c == '.' ? '_' : c;
      return name;
    });

TEST(Journal, what_was_staged_is_read_back_before_the_commit) {
  join_family();
  const Offset run = allocate_run(kPageBytes);
  at<std::uint64_t>(run) = 1;
  {
    ArenaJournal journal;
    journal.set(run, 2);
    journal.set(run, 3);
    EXPECT_EQ(journal.get(run), 3u);
    EXPECT_EQ(at<std::uint64_t>(run), 1u);
    journal.drop();
    EXPECT_EQ(journal.get(run), 1u);
    journal.set(run, 4);
    journal.commit();
    EXPECT_EQ(at<std::uint64_t>(run), 4u);
  }
  free_run(run);
}

TEST(Journal, a_dead_holder_of_another_journal_leaves_the_arena_whole) {
  join_family();
  struct Words {
    JournalWords<8> journal;
    std::uint64_t mine;
  };
  const Offset run = allocate_run(kPageBytes);
  auto& words = *new (at(run, kPageBytes)) Words{};
  const Offset mine = run + offsetof(Words, mine);
  const Offset other = run + 2048;
  at<std::uint64_t>(other) = 1;
  test::Child child = test::fork_child([&] {
    Journal outer(words.journal);
    outer.set(mine, 7);
    ArenaJournal inner;
    inner.set(other, 2);
    test::die_at("journal.committed");
    inner.commit();
  });
  EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
  {
    const Journal survivor(words.journal);
  }
  EXPECT_EQ(words.mine, 0u);
  EXPECT_EQ(at<std::uint64_t>(other), 2u);
  process_ended(child.member());
  free_run(run);
}

// As a rogue member may leave it.
TEST(Journal, a_damaged_list_of_the_dead_is_an_error_once_and_then_forgotten) {
  join_family();
  for (const bool count : {true, false}) {
    test::Child child = test::fork_child([&] {
      ArenaJournal journal;
      auto& words = header().journal;
      words.committed = count ? kJournalCapacity + 1 : 1;
      words.entries[0].where = count ? kHeaderAt : ~std::uint64_t{0};
      test::die();
    });
    EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
    EXPECT_THROW(const ArenaJournal broken, Error);
    const ArenaJournal again;
  }
  check_heap();
}

TEST(Journal, a_change_with_too_many_steps_is_an_error_and_changes_nothing) {
  join_family();
  const Offset run = allocate_run(kPageBytes);
  at<std::uint64_t>(run) = 1;
  {
    ArenaJournal journal;
    const auto stage_many = [&] {
      for (std::uint64_t i = 0; i < kPageBytes / 8; ++i) journal.set(run + i * 8, 2);
    };
    EXPECT_THROW(stage_many(), Error);
    EXPECT_THROW(journal.set(run + 4, 2), Error) << "no word begins there";
    EXPECT_THROW((void)journal.get(kArenaBytes), Error);
  }
  EXPECT_EQ(at<std::uint64_t>(run), 1u);
  free_run(run);
}

// Where the address space is limited; somebody else has to put right what the dead was changing.
TEST(Journal, a_repair_that_cannot_be_done_here_is_left_to_others) {
  if (test::kThreadSanitizer || test::kAddressSanitizer) {
    GTEST_SKIP() << "a sanitizer needs the address space";
  }
  join_family();
  std::atomic<int>& go = test::shared<std::atomic<int>>();
  test::Child limited = test::fork_child([&] {
    FORKFUL_AWAIT(go == 1);
    rlimit limit{64 << 20, 64 << 20};
    ::setrlimit(RLIMIT_AS, &limit);
    bool refused = false;
    try {
      const ArenaJournal journal;
    } catch (const OsError&) {
      refused = true;
    }
    FORKFUL_MUST(refused);
  });
  const std::uint64_t bytes = (header().windows_used + 1) * kWindowBytes;
  const Offset far = allocate_run(bytes);
  const Offset word = far + bytes - kPageBytes;
  (void)at(far, bytes);
  test::Child dead = test::fork_child([&] {
    ArenaJournal journal;
    journal.set(word, 7);
    test::die_at("journal.committed");
    journal.commit();
  });
  EXPECT_EQ(dead.wait_without_reaping(), -SIGKILL);
  go = 1;
  EXPECT_EQ(limited.wait_without_reaping(), 0);
  {
    const ArenaJournal repaired;
  }
  EXPECT_EQ(at<std::uint64_t>(word), 7u);
  process_ended(dead.member());
  process_ended(limited.member());
  free_run(far);
  check_heap();
}

}  // namespace
}  // namespace forkful::arena
