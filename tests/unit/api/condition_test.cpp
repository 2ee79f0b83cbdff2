// Conditions between processes.

#include <signal.h>
#include <unistd.h>

#include <forkful/forkful.hpp>
#include <mutex>
#include <thread>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Conditions : public AllContexts {
 protected:
  [[nodiscard]] ProcessOptions options() const { return {.context = GetParam()}; }
};
FORKFUL_OVER_ALL_CONTEXTS(Conditions);

TEST_P(Conditions, a_waiter_elsewhere_sees_what_was_changed_under_the_lock) {
  for (const Condition& condition : {Condition(), Condition(Lock()), Condition(RLock())}) {
    Value<int> turn(0);
    Process child(
        options(),
        [](Condition& filled, Value<int>& value) {
          for (int i = 1; i <= 100; i += 2) {
            std::unique_lock held(filled);
            filled.wait([&] { return value.load() == i; });
            value.store(i + 1);
            filled.notify();
          }
        },
        condition, turn);
    for (int i = 0; i < 100; i += 2) {
      const std::unique_lock held(condition);
      turn.store(i + 1);
      condition.notify_one();
      condition.wait([&] { return turn.load() == i + 2; });
    }
    child.join();
    EXPECT_EQ(child.exit_code(), 0);
    EXPECT_TRUE(condition.try_lock()) << "left unlocked";
    condition.unlock();
  }
}

TEST_P(Conditions, notify_all_wakes_every_process) {
  Condition open;
  Value<int> waiting(0);
  Value<int> opened(0);
  const auto body = [](Condition& condition, Value<int>& waiters, Value<int>& is_open) {
    const std::unique_lock held(condition);
    ++*waiters.lock();
    condition.wait([&] { return is_open.load() != 0; });
    --*waiters.lock();
  };
  Process first(options(), body, open, waiting, opened);
  Process second(options(), body, open, waiting, opened);
  ASSERT_TRUE(eventually([&] { return waiting.load() == 2; }));
  {
    const std::lock_guard held(open);
    opened.store(1);
    open.notify_all();
  }
  first.join();
  second.join();
  EXPECT_EQ(waiting.load(), 0);
}

TEST_P(Conditions, who_is_killed_with_the_lock_is_told_of_by_a_wait_that_holds_it_again) {
  for (const Condition& condition : {Condition(), Condition(Lock())}) {
    {
      const std::unique_lock held(condition);
      const Process killed(
          options(),
          [](Condition& shared) {
            shared.lock();
            shared.notify();
            ::kill(::getpid(), SIGKILL);
          },
          condition);
      EXPECT_THROW(condition.wait(), LockOwnerDied);
    }
    EXPECT_TRUE(condition.try_lock()) << "was held, and has been unlocked";
    condition.unlock();
  }
}

TEST(Condition, refuses_to_wait_or_notify_without_its_lock) {
  for (const Condition& condition : {Condition(), Condition(Lock())}) {
    EXPECT_THROW(condition.wait(), Error);
    EXPECT_THROW((void)condition.wait_for(1ms), Error);
    EXPECT_THROW(condition.notify(), Error);
    EXPECT_THROW(condition.notify_all(), Error);
    EXPECT_THROW(condition.unlock(), Error);
  }
}

TEST(Condition, shares_the_lock_it_was_made_of) {
  const Lock lock;
  const Condition first(lock);
  const Condition second(lock);
  const std::lock_guard held(first);
  EXPECT_TRUE(lock.is_locked());
  EXPECT_FALSE(second.try_lock());
  EXPECT_FALSE(second.try_lock_for(1ms));
  EXPECT_EQ(std::get<Lock>(second.get_lock()), lock);
  EXPECT_EQ(first, Condition(first));
  EXPECT_FALSE(first == second);
}

TEST(Condition, gives_an_rlock_away_however_deep_it_is_held) {
  const Condition condition;
  for (int i = 0; i < 3; ++i) condition.lock();
  std::jthread other([&] {
    const std::lock_guard held(condition);
    condition.notify();
  });
  condition.wait();
  for (int i = 0; i < 3; ++i) condition.unlock();
  EXPECT_THROW(condition.unlock(), Error);
}

TEST(Condition, ends_its_waits_in_time_with_the_lock_held) {
  const Condition condition;
  const std::unique_lock held(condition);
  const auto never = [] { return false; };
  const auto soon = [] { return std::chrono::steady_clock::now() + 2ms; };
  EXPECT_FALSE(condition.wait_for(2ms));
  EXPECT_FALSE(condition.wait_for(2ms, never));
  EXPECT_FALSE(condition.wait_until(soon()));
  EXPECT_FALSE(condition.wait_until(soon(), never));
  EXPECT_FALSE(condition.wait_until(std::chrono::system_clock::now() + 2ms));
  EXPECT_FALSE(condition.wait_until(std::chrono::system_clock::now() + 2ms, never));
  EXPECT_TRUE(condition.wait_for(-1s, [] { return true; }));
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_FALSE(condition.wait(stop.get_token()));
  EXPECT_FALSE(condition.wait(stop.get_token(), never));
  EXPECT_TRUE(std::get<RLock>(condition.get_lock()).is_mine());
}

}  // namespace
}  // namespace forkful::test
