// Bell, semaphore and event between simulated members: no wake-up is lost.
#include "sync/bell.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/simulated.hpp"
#include "sync/event_word.hpp"
#include "sync/rota.hpp"
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
      bells[1 - mine].notify();
    }
  };
  const auto start = steady_clock::now();
  std::thread first = member_thread(1, [&] { play(0); });
  std::thread second = member_thread(2, [&] { play(1); });
  first.join();
  second.join();
  // A lost notification costs a slice of 10 ms and more.
  EXPECT_LT(steady_clock::now() - start, 20s);
}

TEST_P(Waiting, ring_all_wakes_everybody) {
  Bell bell;
  std::atomic<bool> open{false};
  std::atomic<int> through{0};
  std::vector<std::thread> threads;
  for (std::uint32_t index = 1; index <= 6; ++index) {
    threads.push_back(member_thread(index, [&] {
      SpinBudget budget;
      Wait wait;
      EXPECT_EQ(bell.wait(wait, budget, [&] { return open.load(); }), Waited::done);
      ++through;
    }));
  }
  FORKFUL_AWAIT(family_.asleep == 6);
  open.exchange(true);
  bell.notify_all();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(through, 6);
}

// The words of a bell, as they are in shared memory.
struct Words {
  std::atomic<std::uint32_t> word{0};
  std::atomic<std::uint32_t> spinner{0};
  std::atomic<std::uint32_t> rota{0};
  BellView view() { return {word, spinner, rota}; }
  // As a spinner writes it that means to spin until then.
  void spins_until(std::int64_t ns) { spinner = static_cast<std::uint32_t>(ns >> 10) | 1; }
  [[nodiscard]] bool has_spinner() const { return (spinner & 1) != 0; }
};

TEST_P(Waiting, a_ring_leaves_the_sleepers_alone_while_somebody_spins) {
  Words bell;
  std::atomic<int> done{0};
  std::thread waiter = member_thread(1, [&] {
    SpinBudget budget;
    Wait wait;
    EXPECT_EQ(bell.view().wait(wait, budget, [&] { return done.load() != 0; }), Waited::done);
  });
  FORKFUL_AWAIT(family_.asleep == 1);
  const std::uint32_t rings = bell.word >> 1;
  // Within the time, where this thread is not kept from running for so long.
  bell.spins_until(kernel::monotonic_ns() + SpinBudget::kMostNs);
  bell.view().notify();
  const bool in_time = bell.has_spinner();
  EXPECT_TRUE(bell.word >> 1 == rings || !in_time);
  done.exchange(1);
  bell.view().notify_all();
  waiter.join();
}

TEST_P(Waiting, a_spinner_that_is_killed_or_stopped_or_preempted_swallows_no_wake_up) {
  const std::int64_t now = kernel::monotonic_ns();
  // Just overdue; for long; by more than half of what the word can tell; and 0 is nobody.
  for (const std::int64_t overdue : {4'000ll, 1'000'000'000ll, 3'000'000'000'000ll}) {
    Words bell;
    std::atomic<bool> ready{false};
    Waited how = Waited::interrupted;
    std::thread waiter = member_thread(1, [&] {
      SpinBudget budget;
      Wait wait;
      how = bell.view().wait(wait, budget, [&] { return ready.load(); });
    });
    FORKFUL_AWAIT(family_.asleep == 1);
    const std::uint32_t rings = bell.word >> 1;
    bell.spins_until(now - overdue);
    ready.exchange(true);
    bell.view().notify();
    EXPECT_NE(bell.word >> 1, rings) << "the ring has woken the sleeper";
    EXPECT_FALSE(bell.has_spinner()) << "and nobody has to ask again";
    waiter.join();
    EXPECT_EQ(how, Waited::done);
  }
}

TEST_P(Waiting, another_may_spin_where_an_overdue_spinner_was) {
  family_.may_spin = true;
  Words bell;
  bell.word = 1;  // somebody sleeps, so a spinner has to say so
  bell.spins_until(kernel::monotonic_ns() - 1'000'000);
  std::atomic<bool> seen{false};
  std::thread waiter = member_thread(1, [&] {
    SpinBudget budget;
    Wait wait;
    const std::uint32_t before = bell.spinner;
    EXPECT_EQ(bell.view().wait(wait, budget,
                               [&] { return seen = seen || bell.spinner != before, seen.load(); }),
              Waited::done);
  });
  waiter.join();
  EXPECT_FALSE(bell.has_spinner());
}

TEST_P(Waiting, a_ring_that_a_stopped_spinner_has_swallowed_is_found_by_the_sentry) {
  family_.may_spin = true;
  Words bell;
  std::atomic<bool> ready{false};
  std::atomic<steady_clock::time_point> found{};
  const auto wait_for = [&](Deadline deadline, auto&& what) {
    SpinBudget budget;
    Wait wait(deadline);
    return bell.view().wait(wait, budget, what);
  };
  // How long the sleeper takes for what was notified while the spinner was trusted, with no
  // notification after it.
  const auto delay = [&] {
    ready = false;
    std::thread sleeper = member_thread(1, [&] {
      EXPECT_EQ(wait_for(Deadline::never(), [&] { return ready.load(); }), Waited::done);
      found = steady_clock::now();
    });
    // Why: a sleeper looks seldom after 0.7 s only.
    std::this_thread::sleep_for(1s);
    std::thread spinner = member_thread(2, [&] {
      EXPECT_EQ(wait_for(Deadline::in(200us), [] { return false; }), Waited::timed_out);
    });
    spinner.join();
    FORKFUL_AWAIT(family_.asleep == 1);
    bell.spins_until(kernel::monotonic_ns() + SpinBudget::kMostNs);
    ready.exchange(true);
    const auto rung = steady_clock::now();
    bell.view().notify();
    sleeper.join();
    return found.load() - rung;
  };
  auto least = delay();
  // A busy machine may let it wait; without a sentry it waits for half a second each time.
  for (int i = 0; i < 10 && least > 200ms; ++i) least = std::min(least, delay());
  EXPECT_LT(least, 200ms);
}

TEST_P(Waiting, permits_are_neither_lost_nor_doubled) {
  constexpr int kMembers = 4;
  constexpr int kRounds = 2000;
  constexpr std::uint32_t kPermits = 2;
  SemaphoreWord semaphore(kPermits);
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  for (std::uint32_t index = 1; index <= kMembers; ++index) {
    threads.push_back(member_thread(index, [&] {
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
  for (std::uint32_t index = 1; index <= 4; ++index) {
    threads.push_back(member_thread(index, [&] {
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
  for (std::uint32_t index = 1; index <= 4; ++index) {
    threads.push_back(member_thread(index, [&] {
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

TEST(Rota, few_sleepers_look_twice_a_second_and_many_share_the_looks) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  // The word wraps around during the test.
  constexpr std::int64_t kBegin = (std::int64_t{1} << 24) * Rota::kTickNs - 15 * kSecond;
  for (const int sleepers : {1, 2, 30, 300}) {
    std::atomic<std::uint32_t> rota{0xffffff00};
    std::vector<std::int64_t> next(static_cast<std::size_t>(sleepers), kBegin);
    int looks = 0;
    std::int64_t last = 0;
    std::int64_t longest = 0;
    std::int64_t now = kBegin;
    while (now < kBegin + 30 * kSecond) {
      auto& who = *std::min_element(next.begin(), next.end());
      now = who;
      who = Rota(rota).next_look_ns(now);
      EXPECT_LE(who, now + 9 * kSecond);
      if (now < kBegin + 10 * kSecond) continue;  // by then they have spread
      ++looks;
      if (last != 0) longest = std::max(longest, now - last);
      last = now;
    }
    EXPECT_LT(looks, 20 * 70) << sleepers << " sleepers";
    EXPECT_LE(longest, kSecond) << sleepers << " sleepers";
  }
}

TEST(Rota, is_not_led_astray_by_an_old_word) {
  const std::int64_t now = 5'000'000'000'000;
  for (std::uint32_t old : {0u, 1u, 0x80000000u, 0xffffffffu}) {
    std::atomic<std::uint32_t> rota{old};
    const std::int64_t next = Rota(rota).next_look_ns(now);
    EXPECT_GT(next, now);
    EXPECT_LT(next, now + 1'000'000'000);
  }
}

TEST(Rota, has_one_sentry_as_long_as_that_one_comes_back) {
  constexpr std::int64_t kTick = Rota::kTickNs;
  // Also where the sentry's time wraps around.
  for (std::int64_t now : {5'000'000 * kTick, 5'000'250 * kTick, 5'000'255 * kTick}) {
    std::atomic<std::uint32_t> word{static_cast<std::uint32_t>(now / kTick - 100) & 0xff};
    Rota rota(word);
    Rota other(word);
    EXPECT_FALSE(rota.take(Duty::none, now));
    EXPECT_TRUE(other.appoint(now));
    EXPECT_FALSE(other.appoint(now)) << "one is on its way";
    EXPECT_FALSE(rota.take(Duty::sentry_if_none, now));
    EXPECT_TRUE(rota.take(Duty::sentry, now)) << "the one that was woken";
    for (int looks = 0; looks < 50; ++looks) {
      now += Rota::kSentryNs + kTick;
      EXPECT_FALSE(other.appoint(now)) << "it has a moment to come back";
      EXPECT_FALSE(other.take(Duty::sentry_if_none, now));
      EXPECT_TRUE(rota.take(Duty::sentry_if_none, now));
      (void)other.next_look_ns(now);  // another one's look does not disturb it
    }
    now += 2 * Rota::kSentryNs;
    EXPECT_TRUE(other.take(Duty::sentry_if_none, now)) << "the sentry has died";
    EXPECT_FALSE(rota.take(Duty::sentry_if_none, now)) << "or was late";
    EXPECT_TRUE(rota.take(Duty::sentry, now + kTick)) << "it was woken";
    EXPECT_FALSE(other.take(Duty::sentry_if_none, now + Rota::kSentryNs));
  }
}

TEST_P(Waiting, idle_sleepers_wake_seldom_and_all_of_them_wake_for_a_ring) {
  Words bell;
  std::atomic<bool> open{false};
  std::atomic<int> through{0};
  std::atomic<int> looks{0};
  std::vector<std::thread> threads;
  constexpr int kSleepers = 20;
  for (std::uint32_t index = 1; index <= kSleepers; ++index) {
    threads.push_back(member_thread(index, [&] {
      SpinBudget budget;
      Wait wait;
      EXPECT_EQ(bell.view().wait(wait, budget, [&] { return ++looks, open.load(); }), Waited::done);
      ++through;
    }));
  }
  FORKFUL_AWAIT(family_.asleep == kSleepers);
  // Why: whether they wake by themselves shows only in time; they sleep long after 0.7 s.
  std::this_thread::sleep_for(1s);
  const int before = looks;
  std::this_thread::sleep_for(1s);  // Why: as above
  EXPECT_LT(looks - before, 4 * 70) << "two looks a slice, and a slice more where it was late";
  open.exchange(true);
  bell.view().notify_all();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(through, kSleepers);
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
