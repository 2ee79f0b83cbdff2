// Bell, semaphore and event between simulated members: no wake-up is lost.
#include "sync/bell.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/simulated.hpp"
#include "sync/event_word.hpp"
#include "sync/semaphore_word.hpp"

namespace forkful::sync {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test::member_thread;
using test::SimulatedFamily;

class Waiting : public testing::TestWithParam<bool> {
 protected:
  Waiting() { family_.may_spin = GetParam(); }
  SimulatedFamily family_;
};

INSTANTIATE_TEST_SUITE_P(WithAndWithoutSpinning, Waiting, testing::Bool(),
                         [](const auto& each) { return each.param ? "spinning" : "sleeping"; });

TEST_P(Waiting, ping_pong_loses_no_ring) {
  constexpr int kRounds = 3000;
  Bell bells[2];
  std::atomic<int> turn{0};
  const auto play = [&](int mine) {
    SpinBudget budget;
    for (int i = 0; i < kRounds; ++i) {
      Wait wait;
      ASSERT_EQ(bells[mine].wait(wait, budget, [&] { return turn.load() == mine; }), Waited::done);
      turn.exchange(1 - mine);
      bells[1 - mine].ring();
    }
  };
  const auto start = steady_clock::now();
  std::thread first = member_thread(1, [&] { play(0); });
  std::thread second = member_thread(2, [&] { play(1); });
  first.join();
  second.join();
  // A lost ring costs a slice of 10 ms and more.
  EXPECT_LT(steady_clock::now() - start, 20s);
}

TEST_P(Waiting, ring_all_wakes_everybody) {
  Bell bell;
  std::atomic<bool> open{false};
  std::atomic<int> through{0};
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 1; slot <= 6; ++slot) {
    threads.push_back(member_thread(slot, [&] {
      SpinBudget budget;
      Wait wait;
      EXPECT_EQ(bell.wait(wait, budget, [&] { return open.load(); }), Waited::done);
      ++through;
    }));
  }
  FORKFUL_AWAIT(family_.asleep == 6);
  open.exchange(true);
  bell.ring_all();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(through, 6);
}

TEST_P(Waiting, a_spinner_that_was_killed_is_replaced) {
  family_.may_spin = true;
  Bell bell;
  // Its second word, as it stands in shared memory.
  auto& spinner = *reinterpret_cast<std::atomic<std::uint32_t>*>(
      reinterpret_cast<std::byte*>(&bell) + sizeof(std::uint32_t));
  spinner = SimulatedFamily::id(9).bits;
  family_.end(SimulatedFamily::id(9), End::died);
  std::atomic<bool> ready{false};
  std::thread waiter = member_thread(1, [&] {
    SpinBudget budget;
    Wait wait;
    EXPECT_EQ(bell.wait(wait, budget, [&] { return ready.load(); }), Waited::done);
  });
  FORKFUL_AWAIT(spinner == 0);
  ready.exchange(true);
  bell.ring();
  waiter.join();
}

TEST_P(Waiting, permits_are_neither_lost_nor_doubled) {
  constexpr int kMembers = 4;
  constexpr int kRounds = 2000;
  constexpr std::uint32_t kPermits = 2;
  SemaphoreWord semaphore(kPermits);
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 1; slot <= kMembers; ++slot) {
    threads.push_back(member_thread(slot, [&] {
      SpinBudget budget;
      for (int i = 0; i < kRounds; ++i) {
        Wait wait;
        ASSERT_EQ(semaphore.acquire(wait, budget), Waited::done);
        ASSERT_LE(inside.fetch_add(1) + 1, static_cast<int>(kPermits));
        inside.fetch_sub(1);
        ASSERT_TRUE(semaphore.release(kPermits));
      }
    }));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(semaphore.value(), kPermits);
  EXPECT_FALSE(semaphore.release(kPermits)) << "above the bound";
}

TEST_P(Waiting, one_release_lets_one_sleeper_through_and_several_let_several) {
  SemaphoreWord semaphore(0);
  std::atomic<int> through{0};
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 1; slot <= 4; ++slot) {
    threads.push_back(member_thread(slot, [&] {
      SpinBudget budget;
      Wait wait;
      EXPECT_EQ(semaphore.acquire(wait, budget), Waited::done);
      ++through;
    }));
  }
  FORKFUL_AWAIT(family_.asleep == 4);
  ASSERT_TRUE(semaphore.release(100));
  FORKFUL_AWAIT(through == 1);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(semaphore.release(100));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(semaphore.value(), 0u);
}

TEST_P(Waiting, an_event_counts_even_when_it_is_cleared_at_once) {
  EventWord event;
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 1; slot <= 4; ++slot) {
    threads.push_back(member_thread(slot, [&] {
      SpinBudget budget;
      Wait wait;
      EXPECT_EQ(event.wait(wait, budget), Waited::done);
      ++done;
    }));
  }
  FORKFUL_AWAIT(family_.asleep == 4);
  event.set();
  event.clear();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 4);
  EXPECT_FALSE(event.is_set());
  SpinBudget budget;
  Wait poll(Deadline::poll());
  EXPECT_EQ(event.wait(poll, budget), Waited::timed_out);
  event.set();
  event.set();
  EXPECT_TRUE(event.is_set());
  EXPECT_EQ(event.wait(poll, budget), Waited::done);
}

TEST_P(Waiting, an_event_publishes_what_was_written_before_it) {
  for (int round = 0; round < 200; ++round) {
    EventWord event;
    int plain = 0;
    std::thread waiter = member_thread(1, [&] {
      SpinBudget budget;
      Wait wait;
      ASSERT_EQ(event.wait(wait, budget), Waited::done);
      ASSERT_EQ(plain, 1);
    });
    plain = 1;
    event.set();
    waiter.join();
  }
}

TEST_P(Waiting, deadlines_are_honoured) {
  SemaphoreWord semaphore(0);
  EventWord event;
  SpinBudget budget;
  test::ActAs me(1);
  for (const auto limit : {0ms, 1ms, 25ms, 120ms}) {
    auto start = steady_clock::now();
    Wait for_permit(Deadline::in(limit));
    EXPECT_EQ(semaphore.acquire(for_permit, budget), Waited::timed_out);
    EXPECT_GE(steady_clock::now() - start, limit);
    Wait for_event(Deadline::in(limit));
    EXPECT_EQ(event.wait(for_event, budget), Waited::timed_out);
    EXPECT_LT(steady_clock::now() - start, 2 * limit + 5s);
  }
}

TEST_P(Waiting, a_stop_request_ends_a_wait) {
  SemaphoreWord semaphore(0);
  std::stop_source stop;
  std::thread waiter = member_thread(1, [&] {
    SpinBudget budget;
    StopWait wait(stop.get_token());
    EXPECT_EQ(semaphore.acquire(wait, budget), Waited::interrupted);
  });
  FORKFUL_AWAIT(family_.asleep == 1);
  stop.request_stop();
  waiter.join();
}

// Like a handler of a signal that makes ready what is waited for, and then raises.
class ReleasingWait final : public Wait {
 public:
  explicit ReleasingWait(SemaphoreWord& semaphore) : semaphore_(semaphore) {}
  bool interrupted(bool) noexcept override {
    EXPECT_TRUE(semaphore_.release(1));
    return true;
  }

 private:
  SemaphoreWord& semaphore_;
};

TEST_P(Waiting, an_interrupted_wait_takes_no_permit) {
  SemaphoreWord semaphore(0);
  std::thread waiter = member_thread(1, [&] {
    SpinBudget budget;
    ReleasingWait wait(semaphore);
    EXPECT_EQ(semaphore.acquire(wait, budget), Waited::interrupted);
  });
  waiter.join();
  EXPECT_EQ(semaphore.value(), 1u);
}

TEST(SpinBudget, is_learnt_from_what_paid) {
  SpinBudget budget;
  EXPECT_GT(budget.next_ns(), 0);
  for (int i = 0; i < 10; ++i) budget.learn(budget.next_ns(), false);
  int tries = 0;
  for (int i = 0; i < 64; ++i) tries += budget.next_ns() != 0 ? 1 : 0;
  EXPECT_GT(tries, 0) << "it tries again now and then";
  EXPECT_LT(tries, 16);
  budget.learn(50'000, true);
  EXPECT_GT(budget.next_ns(), 50'000);
}

TEST(Deadline, of_any_length_is_a_time) {
  EXPECT_TRUE(Deadline::in(std::chrono::nanoseconds::max()).is_never());
  EXPECT_TRUE(Deadline::in(0ns).is_poll());
  EXPECT_TRUE(Deadline::in(-1s).is_poll());
  EXPECT_FALSE(Deadline::in(1h).is_poll());
  EXPECT_FALSE(Deadline::in(1h).is_never());
}

}  // namespace
}  // namespace forkful::sync
