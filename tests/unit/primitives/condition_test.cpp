// Conditions: who is woken, who is not, and who was killed meanwhile.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <forkful/bytes/condition.hpp>
#include <forkful/bytes/lock.hpp>
#include <random>
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

bool sleeps(const test::Child& child) { return arena::member(child.member()).asleep != 0; }

Waited wait_once(const RawCondition& condition, Deadline until = Deadline::in(60s)) {
  Wait wait(until);
  return condition.wait(condition.enter(), wait);
}

// A member that waits once and counts.
test::Child waiter(const RawCondition& condition, std::atomic<int>& woken) {
  const std::uint32_t before = condition.waiters();
  test::Child child = test::fork_child([&] {
    FORKFUL_MUST(wait_once(condition) == Waited::done);
    ++woken;
  });
  FORKFUL_AWAIT(condition.waiters() == before + 1);
  return child;
}

TEST(RawCondition, notifies_as_many_as_asked_and_never_those_who_come_later) {
  const RawCondition condition = RawCondition::create();
  EXPECT_EQ(condition.notify(5), 0u) << "nobody waits, and nothing is kept for later";
  auto& woken = test::shared<std::atomic<int>>();
  std::vector<test::Child> children;
  for (int i = 0; i < 4; ++i) children.push_back(waiter(condition, woken));
  EXPECT_EQ(condition.notify(2), 2u);
  EXPECT_EQ(wait_once(condition, Deadline::in(30ms)), Waited::timed_out) << "came later";
  FORKFUL_AWAIT(woken == 2);
  EXPECT_EQ(condition.waiters(), 2u);
  EXPECT_EQ(condition.notify_all(), 2u);
  for (test::Child& child : children) EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(woken, 4);
  EXPECT_EQ(condition.waiters(), 0u);
}

// Like a handler of a signal that notifies the condition that is waited for, and then raises.
class NotifyingWait final : public Wait {
 public:
  explicit NotifyingWait(const RawCondition& condition) : condition_(condition) {}
  bool interrupted(bool) noexcept override {
    EXPECT_EQ(condition_.notify(1), 1u);
    return true;
  }

 private:
  const RawCondition& condition_;
};

TEST(RawCondition, an_interrupted_wait_leaves_its_notification_to_another) {
  const RawCondition condition = RawCondition::create();
  {
    NotifyingWait wait(condition);
    EXPECT_EQ(condition.wait(condition.enter(), wait), Waited::interrupted);
    EXPECT_EQ(condition.waiters(), 0u);
    EXPECT_EQ(wait_once(condition, Deadline::in(30ms)), Waited::timed_out)
        << "nobody else waited, so nothing is kept for later";
  }
  auto& woken = test::shared<std::atomic<int>>();
  test::Child other = waiter(condition, woken);
  NotifyingWait wait(condition);
  EXPECT_EQ(condition.wait(condition.enter(), wait), Waited::interrupted);
  EXPECT_EQ(other.wait(), 0);
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(condition.waiters(), 0u);
}

TEST(RawCondition, two_notifications_of_one_are_one_of_two) {
  const RawCondition condition = RawCondition::create();
  auto& woken = test::shared<std::atomic<int>>();
  std::vector<test::Child> children;
  for (int i = 0; i < 3; ++i) children.push_back(waiter(condition, woken));
  EXPECT_EQ(condition.notify(1), 1u);
  EXPECT_EQ(condition.notify(1), 1u);
  FORKFUL_AWAIT(woken == 2);
  EXPECT_EQ(condition.waiters(), 1u);
  EXPECT_EQ(condition.notify(9), 1u);
  for (test::Child& child : children) EXPECT_EQ(child.wait(), 0);
}

TEST(RawCondition, who_comes_between_two_notifications_takes_the_second_alone) {
  const RawCondition condition = RawCondition::create();
  const auto hears = [&](std::uint64_t ticket) {
    Wait poll(Deadline::poll());
    return condition.wait(ticket, poll) == Waited::done;
  };
  const std::uint64_t first = condition.enter();
  EXPECT_EQ(condition.notify(1), 1u);
  const std::uint64_t second = condition.enter();
  const std::uint64_t third = condition.enter();
  EXPECT_EQ(condition.notify(1), 1u);
  EXPECT_TRUE(hears(second));
  EXPECT_FALSE(hears(third)) << "one was for the first";
  EXPECT_TRUE(hears(first));
  EXPECT_EQ(condition.waiters(), 0u);
}

TEST(RawCondition, three_notifications_that_nobody_has_heard_yet_lose_nobody) {
  const RawCondition condition = RawCondition::create();
  std::vector<std::uint64_t> tickets;
  for (int i = 0; i < 3; ++i) {
    tickets.push_back(condition.enter());
    tickets.push_back(condition.enter());
    EXPECT_EQ(condition.notify(1), 1u);
  }
  int heard = 0;
  for (auto ticket = tickets.rbegin(); ticket != tickets.rend(); ++ticket) {
    Wait poll(Deadline::poll());
    if (condition.wait(*ticket, poll) == Waited::done) ++heard;
  }
  EXPECT_EQ(heard, 4) << "both of the first two, and one of each other two";
  EXPECT_EQ(condition.waiters(), 0u);
}

TEST(RawCondition, who_leaves_late_takes_what_it_was_notified_of) {
  const RawCondition condition = RawCondition::create();
  const std::uint64_t ticket = condition.enter();
  EXPECT_EQ(condition.notify(1), 1u);
  Wait poll(Deadline::poll());
  EXPECT_EQ(condition.wait(ticket, poll), Waited::done);
  EXPECT_EQ(wait_once(condition, Deadline::poll()), Waited::timed_out);
  EXPECT_EQ(condition.waiters(), 0u);
  EXPECT_EQ(condition.notify(1), 0u);
}

TEST(RawCondition, who_gave_up_is_not_notified) {
  const RawCondition condition = RawCondition::create();
  auto& woken = test::shared<std::atomic<int>>();
  EXPECT_EQ(wait_once(condition, Deadline::in(1ms)), Waited::timed_out);
  test::Child child = waiter(condition, woken);
  EXPECT_EQ(condition.notify(1), 1u);
  EXPECT_EQ(child.wait(), 0);
}

TEST(RawCondition, a_stopped_waiter_holds_up_nobody) {
  const RawCondition condition = RawCondition::create();
  auto& woken = test::shared<std::atomic<int>>();
  test::Child stopped = waiter(condition, woken);
  FORKFUL_AWAIT(sleeps(stopped));
  stopped.signal(SIGSTOP);
  stopped.await_stopped();
  test::Child other = waiter(condition, woken);
  EXPECT_EQ(condition.notify(1), 1u);
  EXPECT_EQ(other.wait(), 0);
  EXPECT_EQ(condition.notify(1), 1u);
  stopped.signal(SIGCONT);
  EXPECT_EQ(stopped.wait(), 0);
}

TEST(RawCondition, a_killed_waiter_takes_no_notification_along) {
  for (const kernel::FaultPoint point : test::FaultPoints{
           "journal.staged", "journal.committed", "journal.applying", "condition.entered"}) {
    SCOPED_TRACE(point.name());
    const RawCondition condition = RawCondition::create();
    auto& woken = test::shared<std::atomic<int>>();
    test::Child killed = test::fork_child([&] {
      test::die_at(point);
      (void)wait_once(condition);
    });
    EXPECT_EQ(killed.wait_without_reaping(), -SIGKILL);
    test::Child live = waiter(condition, woken);
    EXPECT_GE(condition.notify(1), 1u);
    EXPECT_EQ(live.wait(), 0);
    arena::process_ended(killed.member());
    test::Child later = waiter(condition, woken);
    EXPECT_GE(condition.notify(1), 1u);
    EXPECT_EQ(later.wait(), 0);
    EXPECT_EQ(wait_once(condition, Deadline::in(1ms)), Waited::timed_out);
  }
}

TEST(RawCondition, a_waiter_killed_with_its_notification_has_had_it) {
  const RawCondition condition = RawCondition::create();
  test::Child killed = test::fork_child([&] {
    test::die_at("condition.taken");
    (void)wait_once(condition);
  });
  FORKFUL_AWAIT(condition.waiters() == 1);
  EXPECT_EQ(condition.notify(1), 1u);
  EXPECT_EQ(killed.wait_without_reaping(), -SIGKILL);
  EXPECT_EQ(condition.waiters(), 0u);
  EXPECT_EQ(condition.notify(1), 0u);
  auto& woken = test::shared<std::atomic<int>>();
  test::Child live = waiter(condition, woken);
  EXPECT_EQ(condition.notify(1), 1u);
  EXPECT_EQ(live.wait(), 0);
  arena::process_ended(killed.member());
}

TEST(RawCondition, a_waiter_killed_as_it_gives_up_is_not_waited_for) {
  const RawCondition condition = RawCondition::create();
  test::Child killed = test::fork_child([&] {
    test::die_at("condition.left");
    (void)wait_once(condition, Deadline::in(1ms));
  });
  EXPECT_EQ(killed.wait_without_reaping(), -SIGKILL);
  EXPECT_EQ(condition.waiters(), 0u);
  EXPECT_EQ(condition.notify(1), 0u);
  arena::process_ended(killed.member());
}

// Between the two it is the other's, whom nobody has woken for it.
TEST(RawCondition, a_waiter_killed_as_it_leaves_its_notification_to_another_has_left_it) {
  const RawCondition condition = RawCondition::create();
  auto& woken = test::shared<std::atomic<int>>();
  test::Child other = waiter(condition, woken);
  FORKFUL_AWAIT(sleeps(other));
  test::Child killed = test::fork_child([&] {
    test::die_at("condition.left");
    NotifyingWait wait(condition);
    (void)condition.wait(condition.enter(), wait);
  });
  EXPECT_EQ(killed.wait(), -SIGKILL);
  EXPECT_EQ(other.wait(), 0);
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(condition.waiters(), 0u);
}

TEST(RawCondition, a_notifier_killed_anywhere_has_notified_or_has_not) {
  for (const kernel::FaultPoint point : test::FaultPoints{
           "journal.staged", "journal.committed", "journal.applying", "condition.notified"}) {
    SCOPED_TRACE(point.name());
    const RawCondition condition = RawCondition::create();
    auto& woken = test::shared<std::atomic<int>>();
    std::vector<test::Child> children;
    for (int i = 0; i < 2; ++i) children.push_back(waiter(condition, woken));
    test::Child notifier = test::fork_child([&] {
      test::die_at(point);
      condition.notify(1);
    });
    EXPECT_EQ(notifier.wait(), -SIGKILL);
    const std::uint32_t left = condition.waiters();
    EXPECT_EQ(left, point == "journal.staged" ? 2u : 1u);
    EXPECT_EQ(condition.notify_all(), left);
    for (test::Child& child : children) EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(condition.waiters(), 0u);
  }
}

TEST(RawCondition, is_whole_whichever_instruction_a_member_is_killed_at) {
  const auto body = [](const RawCondition& condition) {
    const std::uint64_t ticket = condition.enter();
    condition.notify(1);
    Wait poll(Deadline::poll());
    (void)condition.wait(ticket, poll);
  };
  const RawCondition tried = RawCondition::create();
  test::at_many_instructions(
      60, [&] { body(tried); },
      [&](long steps) {
        const RawCondition condition = RawCondition::create();
        test::step_and_kill(
            steps, [&] { body(condition); },
            [&] {
              EXPECT_LE(condition.waiters(), 1u);
              auto& woken = test::shared<std::atomic<int>>();
              test::Child live = waiter(condition, woken);
              EXPECT_GE(condition.notify(1), 1u);
              EXPECT_EQ(live.wait(), 0);
            });
      });
}

TEST(RawCondition, waiters_and_notifiers_that_are_killed_at_random_hang_nobody) {
  std::mt19937 random(test::seed());
  const RawCondition condition = RawCondition::create();
  auto& turns = test::shared<std::atomic<long>>();
  const auto body = [&] {
    for (;;) {
      (void)wait_once(condition, Deadline::in(2ms));
      condition.notify(1);
      ++turns;
    }
  };
  std::vector<test::Child> victims;
  for (int i = 0; i < 3; ++i) victims.push_back(test::fork_child(body));
  for (int round = 0; round < 60; ++round) {
    const long before = turns;
    FORKFUL_AWAIT(turns > before + static_cast<long>(random() % 3));
    test::Child& victim = victims[random() % victims.size()];
    EXPECT_EQ(victim.kill(), -SIGKILL);
    victim = test::fork_child(body);
  }
  for (test::Child& victim : victims) victim.kill();
  auto& woken = test::shared<std::atomic<int>>();
  test::Child live = waiter(condition, woken);
  condition.notify_all();
  EXPECT_EQ(live.wait(), 0);
}

TEST(RawCondition, depth_of_an_rlock_is_released_at_once) {
  const RawRLock lock = RawRLock::create();
  EXPECT_EQ(lock.release_all(), 0u);
  for (int i = 0; i < 3; ++i) {
    Wait wait;
    ASSERT_EQ(lock.acquire(wait), Acquired::yes);
  }
  EXPECT_EQ(lock.release_all(), 3u);
  EXPECT_FALSE(lock.locked());
  const RawLock plain = RawLock::create();
  EXPECT_EQ(plain.release_all(), 0u);
  ASSERT_TRUE(plain.try_acquire());
  EXPECT_TRUE(plain.mine());
  test::Child child = test::fork_child([&] {
    FORKFUL_MUST(!plain.mine());
    FORKFUL_MUST(plain.release_all() == 0);
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(plain.release_all(), 1u);
}

// With threads as members, so that ThreadSanitizer sees both sides.
class ConditionThreads : public testing::TestWithParam<bool> {
 protected:
  RawCondition condition_ = RawCondition::create();
  RawLock lock_ = RawLock::create();
  test::SimulatedFamily family_;
  test::ActAs me_{1};
  ConditionThreads() { family_.may_spin = GetParam(); }

  void lock() const {
    Wait wait;
    ASSERT_EQ(lock_.acquire(wait), Acquired::yes);
  }
  void unlock() const { ASSERT_EQ(lock_.release_all(), 1u); }
  // As a caller's lock is given away around a wait.
  void wait() const {
    const std::uint64_t ticket = condition_.enter();
    unlock();
    Wait forever;
    ASSERT_EQ(condition_.wait(ticket, forever), Waited::done);
    lock();
  }
};
INSTANTIATE_TEST_SUITE_P(WithAndWithoutSpinning, ConditionThreads, testing::Bool(),
                         [](const auto& each) { return each.param ? "spinning" : "sleeping"; });

TEST_P(ConditionThreads, a_buffer_of_one_passes_everything_on) {
  constexpr int kItems = 2000;
  int buffer = 0;  // 0: empty
  long sum = 0;
  int taken = 0;
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 2; slot < 4; ++slot) {
    threads.push_back(member_thread(slot, [&] {
      for (int item = 1; item <= kItems; ++item) {
        lock();
        while (buffer != 0) wait();
        buffer = item;
        condition_.notify_all();
        unlock();
      }
    }));
  }
  for (std::uint32_t slot = 4; slot < 6; ++slot) {
    threads.push_back(member_thread(slot, [&] {
      for (int i = 0; i < kItems; ++i) {
        lock();
        while (buffer == 0) wait();
        sum += buffer;
        ++taken;
        buffer = 0;
        condition_.notify_all();
        unlock();
      }
    }));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, 2 * kItems);
  EXPECT_EQ(sum, 2L * kItems * (kItems + 1) / 2);
  EXPECT_EQ(condition_.waiters(), 0u);
}

TEST_P(ConditionThreads, exactly_as_many_wake_as_were_notified) {
  constexpr int kWaiters = 6;
  std::atomic<int> woken{0};
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 2; slot < 2 + kWaiters; ++slot) {
    threads.push_back(member_thread(slot, [&] {
      lock();
      wait();
      ++woken;
      unlock();
    }));
  }
  FORKFUL_AWAIT(condition_.waiters() == kWaiters);
  for (int expected = 2; expected <= kWaiters; expected += 2) {
    lock();
    condition_.notify(2);
    unlock();
    FORKFUL_AWAIT(woken == expected);
    EXPECT_EQ(condition_.waiters(), static_cast<std::uint32_t>(kWaiters - expected));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(woken, kWaiters);
}

TEST_P(ConditionThreads, time_outs_and_notifications_at_once_leave_no_permit_behind) {
  std::atomic<long> notified{0};
  std::atomic<long> woken{0};
  std::atomic<int> running{3};
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 2; slot < 5; ++slot) {
    threads.push_back(member_thread(slot, [&] {
      for (int i = 0; i < 300; ++i) {
        if (wait_once(condition_, Deadline::in(50us)) == Waited::done) ++woken;
      }
      --running;
    }));
  }
  while (running != 0) notified += condition_.notify(1);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(woken, notified);
  EXPECT_EQ(condition_.waiters(), 0u);
  EXPECT_EQ(condition_.notify(1), 0u);
}

}  // namespace
}  // namespace forkful::bytes
