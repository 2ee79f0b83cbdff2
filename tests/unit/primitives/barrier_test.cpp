// Barriers: rounds, and how they end when a party does not come, or comes and dies.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <forkful/bytes/barrier.hpp>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/simulated.hpp"
#include "support/stepper.hpp"

namespace forkful::bytes {
namespace {

using namespace std::chrono_literals;
using test::member_thread;
using Passed = RawBarrier::Passed;

bool sleeps(const test::Child& child) { return arena::member(child.member()).asleep != 0; }

Passed pass(const RawBarrier& barrier, Deadline until = Deadline::in(60s),
            std::uint32_t* index = nullptr) {
  RawBarrier::Arrival arrival;
  Wait arriving(until);
  if (const Passed how = barrier.arrive(arrival, arriving); how != Passed::yes) return how;
  if (index != nullptr) *index = arrival.index;
  if (arrival.last) return barrier.release(arrival) ? Passed::yes : Passed::broken;
  Wait waiting(until);
  const Passed how = barrier.wait(arrival, waiting);
  return how == Passed::timed_out && barrier.give_up(arrival) == Passed::yes ? Passed::yes : how;
}

// A member that ends with 0 when its round ended like that.
test::Child party(const RawBarrier& barrier, Passed expected) {
  const std::uint32_t before = barrier.waiting();
  test::Child child = test::fork_child([&] { FORKFUL_MUST(pass(barrier) == expected); });
  FORKFUL_AWAIT(barrier.waiting() == before + 1);
  return child;
}

TEST(RawBarrier, parties_meet_round_after_round) {
  constexpr std::uint32_t kParties = 3;
  constexpr std::uint32_t kRounds = 500;
  const RawBarrier barrier = RawBarrier::create(kParties);
  EXPECT_EQ(barrier.parties(), kParties);
  struct Seen {
    std::atomic<std::uint32_t> came[kRounds];
    std::atomic<std::uint32_t> indices[kRounds];
  };
  auto& seen = test::shared<Seen>();
  std::vector<test::Child> children;
  for (std::uint32_t i = 0; i < kParties; ++i) {
    children.push_back(test::fork_child([&] {
      for (std::uint32_t round = 0; round < kRounds; ++round) {
        ++seen.came[round];
        std::uint32_t index = 99;
        FORKFUL_MUST(pass(barrier, Deadline::never(), &index) == Passed::yes);
        FORKFUL_MUST(seen.came[round] == kParties);
        seen.indices[round] |= 1u << index;
      }
    }));
  }
  for (test::Child& child : children) EXPECT_EQ(child.wait(), 0);
  for (std::uint32_t round = 0; round < kRounds; ++round) EXPECT_EQ(seen.indices[round], 7u);
  EXPECT_EQ(barrier.waiting(), 0u);
  EXPECT_FALSE(barrier.broken());
}

// Arrives as the first of two, whose round then ends as it is told.
RawBarrier::Arrival overslept(const RawBarrier& barrier, Passed how) {
  RawBarrier::Arrival arrival;
  Wait wait(Deadline::poll());
  EXPECT_EQ(barrier.arrive(arrival, wait), Passed::yes);
  if (how == Passed::yes) {
    EXPECT_EQ(pass(barrier), Passed::yes);
  } else {
    barrier.abort();
    barrier.reset();
  }
  return arrival;
}

Passed told_at_last(const RawBarrier& barrier, const RawBarrier::Arrival& arrival) {
  Wait wait(Deadline::poll());
  return barrier.wait(arrival, wait);
}

TEST(RawBarrier, whoever_oversleeps_many_rounds_is_told_how_its_own_ended) {
  const RawBarrier barrier = RawBarrier::create(2);
  const auto released = overslept(barrier, Passed::yes);
  const auto broken = overslept(barrier, Passed::broken);
  for (int i = 0; i < 500; ++i) (void)overslept(barrier, Passed::yes);
  EXPECT_EQ(told_at_last(barrier, released), Passed::yes);
  EXPECT_EQ(barrier.give_up(released), Passed::yes);
  EXPECT_EQ(told_at_last(barrier, broken), Passed::broken);
  // 31 are noted now, and of what came before them nobody has forgotten any.
  for (int i = 0; i < 30; ++i) {
    (void)overslept(barrier, Passed::broken);
    (void)overslept(barrier, Passed::yes);
  }
  EXPECT_EQ(told_at_last(barrier, released), Passed::yes);
  EXPECT_EQ(told_at_last(barrier, broken), Passed::broken);
  for (int i = 0; i < 2; ++i) (void)overslept(barrier, Passed::broken);
  EXPECT_EQ(told_at_last(barrier, released), Passed::broken);
  EXPECT_EQ(told_at_last(barrier, broken), Passed::broken);
}

TEST(RawBarrier, needs_a_party) {
  EXPECT_THROW((void)RawBarrier::create(0), std::invalid_argument);
  const RawBarrier alone = RawBarrier::create(1);
  EXPECT_EQ(pass(alone, Deadline::poll()), Passed::yes);
  EXPECT_EQ(pass(RawBarrier::adopt(alone.id()), Deadline::poll()), Passed::yes);
}

TEST(RawBarrier, who_comes_too_late_or_gives_up_breaks_it_until_reset) {
  const RawBarrier barrier = RawBarrier::create(3);
  test::Child other = party(barrier, Passed::broken);
  EXPECT_EQ(pass(barrier, Deadline::in(20ms)), Passed::timed_out);
  EXPECT_EQ(other.wait(), 0);
  EXPECT_TRUE(barrier.broken());
  EXPECT_EQ(barrier.waiting(), 0u);
  EXPECT_EQ(pass(barrier), Passed::broken);
  barrier.reset();
  EXPECT_FALSE(barrier.broken());
  test::Child first = party(barrier, Passed::yes);
  test::Child second = party(barrier, Passed::yes);
  EXPECT_EQ(pass(barrier), Passed::yes);
  EXPECT_EQ(first.wait(), 0);
  EXPECT_EQ(second.wait(), 0);
}

TEST(RawBarrier, abort_breaks_it_and_reset_sends_waiters_away) {
  const RawBarrier barrier = RawBarrier::create(2);
  test::Child aborted = party(barrier, Passed::broken);
  barrier.abort();
  EXPECT_EQ(aborted.wait(), 0);
  barrier.reset();
  test::Child reset = party(barrier, Passed::broken);
  barrier.reset();
  EXPECT_EQ(reset.wait(), 0);
  EXPECT_FALSE(barrier.broken());
  barrier.reset();
  test::Child passes = party(barrier, Passed::yes);
  EXPECT_EQ(pass(barrier), Passed::yes);
  EXPECT_EQ(passes.wait(), 0);
}

TEST(RawBarrier, one_that_is_slow_to_leave_holds_up_nobody_and_knows_how_its_round_ended) {
  const RawBarrier barrier = RawBarrier::create(2);
  for (const bool released : {true, false}) {
    test::Child slow = party(barrier, released ? Passed::yes : Passed::broken);
    FORKFUL_AWAIT(sleeps(slow));
    slow.signal(SIGSTOP);
    slow.await_stopped();
    if (released) {
      EXPECT_EQ(pass(barrier), Passed::yes);
    } else {
      barrier.reset();
    }
    for (int i = 0; i < 10; ++i) {
      test::Child other = party(barrier, Passed::yes);
      EXPECT_EQ(pass(barrier), Passed::yes);
      EXPECT_EQ(other.wait(), 0);
    }
    if (released) barrier.abort();
    slow.signal(SIGCONT);
    EXPECT_EQ(slow.wait(), 0);
    barrier.reset();
  }
}

TEST(RawBarrier, a_party_killed_while_it_waits_breaks_it) {
  const RawBarrier barrier = RawBarrier::create(3);
  for (const bool reaped : {false, true}) {
    test::Child other = party(barrier, Passed::broken);
    test::Child killed = party(barrier, Passed::yes);
    killed.signal(SIGKILL);
    if (reaped) {
      killed.wait();
    } else {
      killed.wait_without_reaping();
    }
    EXPECT_EQ(other.wait(), 0) << "without another arrival";
    EXPECT_TRUE(barrier.broken());
    EXPECT_EQ(pass(barrier), Passed::broken);
    arena::process_ended(killed.member());
    barrier.reset();
  }
}

TEST(RawBarrier, the_last_party_does_not_count_a_dead_one) {
  const RawBarrier barrier = RawBarrier::create(2);
  test::Child killed = party(barrier, Passed::yes);
  killed.kill();
  EXPECT_EQ(pass(barrier), Passed::broken);
}

TEST(RawBarrier, a_party_killed_on_its_way_in_or_out_hangs_nobody) {
  for (const kernel::FaultPoint point :
       test::FaultPoints{"journal.staged", "journal.committed", "journal.applying",
                         "barrier.arrived", "barrier.releasing", "barrier.ended"}) {
    for (const int pass_of_point : {1, 2}) {
      SCOPED_TRACE(std::string(point.name()) + " " + std::to_string(pass_of_point));
      const RawBarrier barrier = RawBarrier::create(2);
      auto& how = test::shared<std::atomic<Passed>>();
      test::Child waits = test::fork_child([&] { how.store(pass(barrier, Deadline::in(2s))); });
      FORKFUL_AWAIT(barrier.waiting() == 1);
      test::Child killed = test::fork_child([&] {
        test::die_at(point, pass_of_point);
        (void)pass(barrier);
      });
      const int end = killed.wait_without_reaping();
      EXPECT_EQ(waits.wait(), 0);
      // It died before it came: nobody can know. It came and released: fine. Else broken.
      if (end == 0) {
        EXPECT_EQ(how, Passed::yes);
      } else if (point == "journal.staged" && pass_of_point == 1) {
        EXPECT_EQ(how, Passed::timed_out);
      } else if (point == "barrier.ended") {
        EXPECT_EQ(how, Passed::yes);
      } else if (pass_of_point == 1) {
        EXPECT_EQ(how, Passed::broken);
      } else {
        EXPECT_NE(how, Passed::timed_out);
      }
      arena::process_ended(killed.member());
      barrier.reset();
      test::Child again = party(barrier, Passed::yes);
      EXPECT_EQ(pass(barrier), Passed::yes);
      EXPECT_EQ(again.wait(), 0);
    }
  }
}

TEST(RawBarrier, one_killed_while_it_breaks_the_barrier_leaves_it_whole_or_broken) {
  for (const kernel::FaultPoint point : test::FaultPoints{"journal.staged", "journal.committed",
                                                          "journal.applying", "barrier.broken"}) {
    SCOPED_TRACE(point.name());
    const RawBarrier barrier = RawBarrier::create(2);
    auto& how = test::shared<std::atomic<Passed>>();
    test::Child waits = test::fork_child([&] { how.store(pass(barrier)); });
    FORKFUL_AWAIT(barrier.waiting() == 1);
    test::Child killed = test::fork_child([&] {
      test::die_at(point);
      barrier.abort();
    });
    EXPECT_EQ(killed.wait(), -SIGKILL);
    if (point == "journal.staged") {
      EXPECT_EQ(pass(barrier), Passed::yes);
      EXPECT_EQ(waits.wait(), 0);
      EXPECT_EQ(how, Passed::yes);
    } else {
      EXPECT_EQ(waits.wait(), 0);
      EXPECT_EQ(how, Passed::broken);
      EXPECT_EQ(pass(barrier), Passed::broken);
    }
  }
}

TEST(RawBarrier, who_acts_and_dies_breaks_it_for_waiters_and_for_those_who_come) {
  const RawBarrier barrier = RawBarrier::create(2);
  test::Child waits = party(barrier, Passed::broken);
  auto& acting = test::shared<std::atomic<int>>();
  test::Child actor = test::fork_child([&] {
    RawBarrier::Arrival arrival;
    Wait wait;
    FORKFUL_MUST(barrier.arrive(arrival, wait) == Passed::yes);
    FORKFUL_MUST(arrival.last && arrival.index == 1);
    acting = 1;
    for (;;) ::pause();
  });
  FORKFUL_AWAIT(acting == 1);
  test::Child comes = test::fork_child([&] { FORKFUL_MUST(pass(barrier) == Passed::broken); });
  FORKFUL_AWAIT(sleeps(comes));
  actor.signal(SIGKILL);
  EXPECT_EQ(waits.wait(), 0);
  EXPECT_EQ(comes.wait(), 0);
}

TEST(RawBarrier, who_comes_while_another_acts_belongs_to_the_next_round) {
  const RawBarrier barrier = RawBarrier::create(1);
  RawBarrier::Arrival arrival;
  Wait wait;
  ASSERT_EQ(barrier.arrive(arrival, wait), Passed::yes);
  test::Child next = test::fork_child([&] { FORKFUL_MUST(pass(barrier) == Passed::yes); });
  FORKFUL_AWAIT(sleeps(next));
  EXPECT_TRUE(barrier.release(arrival));
  EXPECT_FALSE(barrier.release(arrival)) << "once";
  EXPECT_EQ(next.wait(), 0);
}

TEST(RawBarrier, is_whole_whichever_instruction_a_party_is_killed_at) {
  const RawBarrier tried = RawBarrier::create(1);
  test::at_many_instructions(
      60, [&] { (void)pass(tried); },
      [&](long steps) {
        const RawBarrier barrier = RawBarrier::create(1);
        test::step_and_kill(
            steps, [&] { (void)pass(barrier); },
            [&] {
              if (pass(barrier) == Passed::broken) barrier.reset();
              EXPECT_EQ(pass(barrier), Passed::yes);
            });
      });
}

// With threads as members, so that ThreadSanitizer sees both sides.
class BarrierThreads : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::uint32_t kParties = 4;
  RawBarrier barrier_ = RawBarrier::create(kParties);
  test::SimulatedFamily family_;
  test::ActAs me_{1};
  BarrierThreads() { family_.may_spin = GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(WithAndWithoutSpinning, BarrierThreads, testing::Bool(),
                         [](const auto& each) { return each.param ? "spinning" : "sleeping"; });

TEST_P(BarrierThreads, what_was_written_before_a_round_is_seen_behind_it) {
  constexpr int kRounds = 500;
  int written[kParties] = {};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < kParties; ++i) {
    threads.push_back(member_thread(2 + i, [&, i] {
      for (int round = 1; round <= kRounds; ++round) {
        written[i] = round;
        ASSERT_EQ(pass(barrier_), Passed::yes);
        for (const int each : written) ASSERT_EQ(each, round);
        ASSERT_EQ(pass(barrier_), Passed::yes);
      }
    }));
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(BarrierThreads, a_dead_party_is_noticed_by_the_others) {
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < kParties - 1; ++i) {
    threads.push_back(member_thread(2 + i, [&] { EXPECT_EQ(pass(barrier_), Passed::broken); }));
  }
  FORKFUL_AWAIT(barrier_.waiting() == kParties - 1);
  family_.end(test::SimulatedFamily::id(3), sync::End::died);
  for (std::thread& thread : threads) thread.join();
}

TEST_P(BarrierThreads, time_outs_and_resets_at_random_hang_nobody) {
  const unsigned seed = test::seed();
  std::atomic<int> running{kParties};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < kParties; ++i) {
    threads.push_back(member_thread(2 + i, [&, i] {
      std::mt19937 random(seed + i);
      for (int round = 0; round < 300; ++round) {
        const auto limit = std::chrono::microseconds(random() % 300);
        if (pass(barrier_, Deadline::in(limit)) != Passed::yes) barrier_.reset();
      }
      --running;
    }));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(running, 0);
}

}  // namespace
}  // namespace forkful::bytes
