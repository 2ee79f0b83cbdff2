// What the family writes down of itself for views: sleeps, deaths, labels.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <forkful/event.hpp>
#include <forkful/queue.hpp>
#include <string>
#include <thread>
#include <vector>

#include "arena/awake.hpp"
#include "arena/labels.hpp"
#include "arena/member_name.hpp"
#include "arena/membership.hpp"
#include "kernel/clock.hpp"
#include "kernel/futex.hpp"
#include "support/child.hpp"
#include "sync/pace.hpp"

namespace forkful::arena {
namespace {

using What = sync::SleepsAt::What;

bool is_within(Offset place, const bytes::Shared& object) {
  const Offset begin = object.id().offset;
  return place >= begin && place < begin + at<ObjectHeader>(begin).bytes;
}

class Sight : public testing::Test {
 protected:
  Sight() { join_family(); }
};

TEST_F(Sight, what_a_member_sleeps_for_and_since_when_can_be_seen) {
  const Event event;
  const std::int64_t before = kernel::monotonic_ns();
  test::Child child = test::fork_child([&] { event.wait(); });
  child.await_asleep();
  FORKFUL_AWAIT(sleep_of(child.member()).place.what == What::word);
  const Sleep sleep = sleep_of(child.member());
  EXPECT_TRUE(is_within(sleep.place.value, event.shared()));
  EXPECT_GE(sleep.since_ns, before);
  EXPECT_LE(sleep.since_ns, kernel::monotonic_ns());
  event.set();
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Sight, a_wait_of_many_slices_has_begun_once) {
  const Event event;
  test::Child child = test::fork_child([&] { event.wait(); });
  FORKFUL_AWAIT(sleep_of(child.member()).since_ns != 0);
  const std::int64_t since = sleep_of(child.member()).since_ns;
  // Slices grow from 10 ms: some have passed when the member has slept for 50 ms.
  FORKFUL_AWAIT(kernel::monotonic_ns() - since > 50'000'000);
  FORKFUL_AWAIT(sleep_of(child.member()).place.what == What::word);
  EXPECT_EQ(sleep_of(child.member()).since_ns, since);
  event.set();
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Sight, whoever_is_awake_sleeps_for_nothing) {
  EXPECT_EQ(sleep_of(sync::self()).place.what, What::nothing);
  const Event event;
  EXPECT_FALSE(event.wait_for(std::chrono::milliseconds(1)));
  EXPECT_EQ(sleep_of(sync::self()).place.what, What::nothing);
}

TEST_F(Sight, a_thread_that_waits_for_another_one_of_its_process_is_seen_as_such) {
  std::atomic<std::uint32_t> word{0};
  std::thread sleeper([&] {
    const Wait forever;
    sync::Slices slices(forever);
    // Why: the wait that is looked at, until the word changes.
    while (word == 0) (void)slices.sleep(word, 0);
  });
  FORKFUL_AWAIT(sleep_of(sync::self()).place.what == What::own_word);
  word = 1;
  kernel::futex_wake(word, 1);
  sleeper.join();
}

TEST_F(Sight, a_death_is_remembered_with_what_the_member_did) {
  const Event event;
  test::Child child = test::fork_child([&] { event.wait(); });
  name_member(child.member(), "the one that is killed");
  FORKFUL_AWAIT(sleep_of(child.member()).place.what == What::word);
  const pid_t pid = child.pid();
  EXPECT_EQ(child.kill(), -SIGKILL);
  const std::vector<Death> deaths = last_deaths();
  ASSERT_FALSE(deaths.empty());
  const Death& last = deaths.back();
  EXPECT_EQ(last.member, child.member().bits);
  EXPECT_EQ(last.pid, pid);
  EXPECT_EQ(last.parent, sync::self().bits);
  EXPECT_STREQ(last.name, "the one that is killed");
  EXPECT_EQ(place_in(last.sleeps_at).what, What::word);
  EXPECT_TRUE(is_within(place_in(last.sleeps_at).value, event.shared()));
}

TEST_F(Sight, an_orderly_end_is_no_death) {
  const std::size_t before = last_deaths().size();
  EXPECT_EQ(test::fork_child([] {}).wait(), 0);
  EXPECT_EQ(last_deaths().size(), before);
}

TEST_F(Sight, as_many_deaths_are_remembered_as_there_is_room_for) {
  std::vector<std::uint32_t> killed;
  for (std::uint32_t i = 0; i < kDeathsKept + 5; ++i) {
    test::Child child = test::fork_child([] {
      for (;;) ::pause();
    });
    killed.push_back(child.member().bits);
    EXPECT_EQ(child.kill(), -SIGKILL);
  }
  const std::vector<Death> deaths = last_deaths();
  ASSERT_EQ(deaths.size(), kDeathsKept);
  for (std::uint32_t i = 0; i < kDeathsKept; ++i) EXPECT_EQ(deaths[i].member, killed[i + 5]);
}

TEST_F(Sight, a_member_killed_while_it_notes_a_death_leaves_those_before) {
  const auto killed = [] {
    test::Child child = test::fork_child([] {
      for (;;) ::pause();
    });
    ::kill(child.pid(), SIGKILL);
    child.wait_without_reaping();
    return child.member();
  };
  const base::MemberId before = killed();
  process_ended(before);
  const base::MemberId dead = killed();
  test::Child reaper = test::fork_child([&] {
    test::die_at("journal.staged");
    reap(dead, End::died);
  });
  const base::MemberId other = reaper.member();
  EXPECT_EQ(reaper.wait(), -SIGKILL);
  std::vector<Death> deaths = last_deaths();
  EXPECT_EQ(deaths.back().member, other.bits);
  EXPECT_EQ(deaths.end()[-2].member, before.bits) << "what was not committed does not count";
  process_ended(dead);
  EXPECT_EQ(last_deaths().back().member, dead.bits);
}

TEST_F(Sight, a_text_has_one_number_in_the_family) {
  const std::uint64_t number = number_of_label("orders");
  EXPECT_NE(number, 0u);
  EXPECT_EQ(label_text(number), "orders");
  EXPECT_EQ(test::fork_child([&] {
              FORKFUL_MUST(number_of_label("orders") == number);
              FORKFUL_MUST(number_of_label("replies") != number);
            }).wait(),
            0);
  EXPECT_NE(number_of_label("replies"), number);
}

TEST_F(Sight, no_label_is_number_0) {
  EXPECT_EQ(number_of_label(""), 0u);
  EXPECT_EQ(label_text(0), "");
  EXPECT_EQ(label_text(kLabels), "");
  EXPECT_EQ(label_text(~std::uint64_t{0}), "");
}

TEST_F(Sight, a_member_killed_while_it_enters_a_label_leaves_its_place_free) {
  test::Child child = test::fork_child([] {
    test::die_at("labels.written");
    (void)number_of_label("of a dead member");
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
  EXPECT_EQ(label_text(number_of_label("of another one")), "of another one");
  EXPECT_EQ(label_text(number_of_label("of a dead member")), "of a dead member");
}

// Last: the table stays full.
TEST_F(Sight, objects_beyond_the_table_of_labels_have_none) {
  EXPECT_EQ(test::fork_child([] {
              std::uint64_t entered = 0;
              for (int i = 0; i < 2000; ++i) {
                const std::string text = "label " + std::to_string(i);
                const std::uint64_t number = number_of_label(text);
                if (number == 0) continue;
                ++entered;
                FORKFUL_MUST(label_text(number) == text);
              }
              FORKFUL_MUST(entered > 400 && entered < kLabels);
              const Queue<int> queue(0, "one too many");
              FORKFUL_MUST(queue.shared().label().empty());
            }).wait(),
            0);
}

}  // namespace
}  // namespace forkful::arena
