// Queues, values, locks and events between processes.

#include <signal.h>
#include <unistd.h>

#include <forkful/forkful.hpp>
#include <mutex>
#include <thread>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Sharing : public AllContexts {
 protected:
  [[nodiscard]] ProcessOptions options() const { return {.context = GetParam()}; }
};
FORKFUL_OVER_ALL_CONTEXTS(Sharing);

TEST_P(Sharing, a_queue_carries_values_in_order) {
  Queue<std::pair<int, std::string>> queue;
  Process child(
      options(),
      [](Queue<std::pair<int, std::string>>& to, int count) {
        for (int i = 0; i < count; ++i) to.put({i, std::string(i % 100, 'x')});
        to.shut_down();
      },
      queue, 1000);
  int expected = 0;
  for (const auto& [number, text] : queue) {
    EXPECT_EQ(number, expected);
    EXPECT_EQ(text.size(), static_cast<std::size_t>(expected % 100));
    ++expected;
  }
  EXPECT_EQ(expected, 1000);
}

TEST_P(Sharing, a_queue_can_be_sent_through_a_queue) {
  Queue<Queue<int>> replies;
  Process child(options(), [](Queue<Queue<int>>& from) { from.get().put(42); }, replies);
  Queue<int> reply;
  replies.put(reply);
  EXPECT_EQ(reply.get(), 42);
}

TEST_P(Sharing, a_value_survives_concurrent_increments) {
  constexpr int kEach = 5000;
  Value<int> value(0);
  const auto add = [](Value<int>& to, int times) {
    for (int i = 0; i < times; ++i) ++*to.lock();
  };
  {
    const Process a(options(), add, value, kEach);
    const Process b(options(), add, value, kEach);
  }
  EXPECT_EQ(value.load(), 2 * kEach);
}

TEST_P(Sharing, an_event_is_seen_elsewhere) {
  Event asked;
  Event answered;
  Process child(
      options(),
      [](Event& from, Event& to) {
        from.wait();
        to.set();
      },
      asked, answered);
  EXPECT_FALSE(answered.wait_for(1ms));
  asked.set();
  answered.wait();
}

// Takes the lock, says so, and waits to be killed.
template <class L>
void hold(L& lock, Event& held) {
  lock.lock();
  held.set();
  for (;;) ::pause();
}

template <class L>
void expect_owner_died_and_recovery(const ProcessOptions& options) {
  L lock;
  Event held;
  Process owner(options, hold<L>, lock, held);
  held.wait();
  EXPECT_FALSE(lock.try_lock());
  std::jthread killer([&] { owner.kill(); });
  EXPECT_THROW(lock.lock(), LockOwnerDied);
  EXPECT_TRUE(lock.recover());
  lock.unlock();
  const std::lock_guard again(lock);
}

TEST_P(Sharing, a_waiter_learns_that_the_owner_was_killed) {
  expect_owner_died_and_recovery<Lock>(options());
  expect_owner_died_and_recovery<RLock>(options());
}

TEST_P(Sharing, an_owner_that_exits_in_order_keeps_the_lock) {
  Lock lock;
  Process(options(), [](Lock& taken) { taken.lock(); }, lock).join();
  EXPECT_FALSE(lock.try_lock_for(1ms));
  lock.unlock();
  EXPECT_TRUE(lock.try_lock());
}

TEST_P(Sharing, a_semaphore_lets_as_many_in_as_it_says) {
  Semaphore semaphore(1);
  Process(options(), [](Semaphore& from) { from.acquire(); }, semaphore).join();
  EXPECT_FALSE(semaphore.try_acquire());
  semaphore.release();
  EXPECT_TRUE(semaphore.try_acquire());
}

TEST(Queues, time_out_and_end) {
  Queue<int> queue(1);
  EXPECT_EQ(queue.try_get(), std::nullopt);
  EXPECT_EQ(queue.get_for(1ms), std::nullopt);
  EXPECT_TRUE(queue.try_put(1));
  EXPECT_FALSE(queue.try_put(2));
  EXPECT_FALSE(queue.put_for(2, 1ms));
  EXPECT_EQ(queue.size(), 1u);
  queue.shut_down();
  EXPECT_THROW(queue.put(3), ShutDown);
  EXPECT_EQ(queue.get(), 1);
  EXPECT_THROW((void)queue.get(), ShutDown);
}

TEST(Queues, a_stop_request_ends_a_wait) {
  const Queue<int> queue;
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(queue.get(stop.get_token()), std::nullopt);
}

TEST(Locks, an_rlock_counts_and_a_lock_refuses_an_unlock_too_many) {
  const RLock rlock;
  rlock.lock();
  rlock.lock();
  rlock.unlock();
  EXPECT_TRUE(rlock.is_mine());
  rlock.unlock();
  EXPECT_THROW(rlock.unlock(), Error);
  const Lock lock;
  EXPECT_THROW(lock.unlock(), Error);
  Lock other;
  const std::unique_lock held(other, std::try_to_lock);
  EXPECT_TRUE(held.owns_lock());
}

TEST(Cpus, there_is_one_at_least) { EXPECT_GE(cpu_count(), 1u); }

}  // namespace
}  // namespace forkful::test
