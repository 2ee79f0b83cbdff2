// The owner word between simulated members.
#include "sync/owner_word.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/simulated.hpp"

namespace forkful::sync {
namespace {

using namespace std::chrono_literals;
using test::ActAs;
using test::member_thread;
using test::SimulatedFamily;

class OwnerWordTest : public testing::TestWithParam<bool> {
 protected:
  OwnerWordTest() { family_.may_spin = GetParam(); }
  SimulatedFamily family_;
  OwnerWord word_;
  static constexpr std::uint32_t kMe = 1;
  static constexpr std::uint32_t kOther = 2;
  MemberId me_ = SimulatedFamily::id(kMe);
  MemberId other_ = SimulatedFamily::id(kOther);
};

INSTANTIATE_TEST_SUITE_P(WithAndWithoutSpinning, OwnerWordTest, testing::Bool(),
                         [](const auto& each) { return each.param ? "spinning" : "sleeping"; });

TEST_P(OwnerWordTest, members_exclude_each_other) {
  constexpr int kMembers = 6;
  constexpr int kRounds = 3000;
  long counter = 0;  // plain: ThreadSanitizer sees a lock that does not exclude
  std::vector<std::thread> threads;
  for (std::uint32_t index = 1; index <= kMembers; ++index) {
    threads.push_back(member_thread(index, [&] {
      for (int i = 0; i < kRounds; ++i) {
        Wait wait;
        ASSERT_EQ(word_.lock(self(), wait, i % 2 != 0 ? Death::take_over : Death::report),
                  Locked::yes);
        ++counter;
        ASSERT_TRUE(word_.unlock());
      }
    }));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter, kMembers * kRounds);
  EXPECT_FALSE(word_.owner());
}

TEST_P(OwnerWordTest, knows_its_owner_and_is_not_taken_twice) {
  EXPECT_FALSE(word_.owner());
  EXPECT_TRUE(word_.try_lock(other_));
  EXPECT_EQ(word_.owner(), other_);
  EXPECT_FALSE(word_.try_lock(me_));
  EXPECT_FALSE(word_.try_lock(other_));
  EXPECT_TRUE(word_.unlock());
  EXPECT_FALSE(word_.unlock()) << "it was not locked";
}

TEST_P(OwnerWordTest, survivor_takes_over_from_a_dead_owner) {
  ASSERT_TRUE(word_.try_lock(other_));
  family_.end(other_, End::died);
  Wait wait;
  EXPECT_EQ(word_.lock(me_, wait, Death::take_over), Locked::owner_died);
  EXPECT_EQ(word_.owner(), me_);
}

// As another member may have written over it.
TEST_P(OwnerWordTest, a_word_that_names_nobody_and_says_that_somebody_sleeps_is_free) {
  for (const Death death : {Death::take_over, Death::report, Death::ignore}) {
    constexpr std::uint32_t kSleepersOnly = 1u << 31;
    std::memcpy(static_cast<void*>(&word_), &kSleepersOnly, sizeof kSleepersOnly);
    Wait wait(Deadline::in(10s));
    EXPECT_EQ(word_.lock(me_, wait, death), Locked::yes);
    EXPECT_EQ(word_.owner(), me_);
    EXPECT_TRUE(word_.unlock());
  }
}

TEST_P(OwnerWordTest, a_sleeping_waiter_notices_the_death) {
  ASSERT_TRUE(word_.try_lock(other_));
  std::thread waiter = member_thread(kMe, [&] {
    Wait wait;
    EXPECT_EQ(word_.lock(self(), wait, Death::take_over), Locked::owner_died);
  });
  FORKFUL_AWAIT(family_.asleep > 0);
  family_.end(other_, End::died);
  waiter.join();
  EXPECT_EQ(word_.owner(), me_);
}

TEST_P(OwnerWordTest, a_death_is_reported_and_the_lock_not_taken) {
  ASSERT_TRUE(word_.try_lock(other_));
  family_.end(other_, End::died);
  Wait wait;
  EXPECT_EQ(word_.lock(me_, wait, Death::report), Locked::owner_died);
  EXPECT_EQ(word_.owner(), other_);
  EXPECT_TRUE(word_.take_over(other_, me_));
  EXPECT_FALSE(word_.take_over(other_, me_)) << "somebody was faster";
  EXPECT_EQ(word_.owner(), me_);
}

TEST_P(OwnerWordTest, an_owner_that_left_keeps_a_users_lock_but_not_an_internal_one) {
  ASSERT_TRUE(word_.try_lock(other_));
  family_.end(other_, End::left);
  Wait report(Deadline::in(20ms));
  EXPECT_EQ(word_.lock(me_, report, Death::report), Locked::timed_out);
  EXPECT_EQ(word_.owner(), other_);
  Wait forever;
  EXPECT_EQ(word_.lock(me_, forever, Death::take_over), Locked::owner_died);
}

TEST_P(OwnerWordTest, ignoring_waits_on_behind_a_dead_owner) {
  ASSERT_TRUE(word_.try_lock(other_));
  family_.end(other_, End::died);
  Wait wait(Deadline::in(30ms));
  EXPECT_EQ(word_.lock(me_, wait, Death::ignore), Locked::timed_out);
  EXPECT_EQ(family_.probes(), 0);
}

TEST_P(OwnerWordTest, of_many_survivors_each_gets_it_in_turn) {
  ASSERT_TRUE(word_.try_lock(other_));
  std::atomic<int> took_over{0};
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  for (std::uint32_t index = 10; index < 16; ++index) {
    threads.push_back(member_thread(index, [&] {
      Wait wait;
      const Locked how = word_.lock(self(), wait, Death::take_over);
      took_over += how == Locked::owner_died ? 1 : 0;
      EXPECT_EQ(inside.fetch_add(1), 0);
      inside.fetch_sub(1);
      EXPECT_TRUE(word_.unlock());
    }));
  }
  FORKFUL_AWAIT(family_.asleep == 6);
  family_.end(other_, End::died);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(took_over, 1);
}

TEST_P(OwnerWordTest, a_chain_of_deaths_is_survived) {
  MemberId owner = other_;
  ASSERT_TRUE(word_.try_lock(owner));
  for (std::uint32_t index = 20; index < 40; ++index) {
    family_.end(owner, End::died);
    Wait wait;
    const MemberId next = SimulatedFamily::id(index);
    ASSERT_EQ(word_.lock(next, wait, Death::take_over), Locked::owner_died);
    owner = next;
  }
  EXPECT_TRUE(word_.unlock());
}

TEST_P(OwnerWordTest, a_deadline_is_honoured) {
  ASSERT_TRUE(word_.try_lock(other_));
  for (const auto limit : {0ms, 1ms, 30ms, 150ms}) {
    const auto start = std::chrono::steady_clock::now();
    Wait wait(Deadline::in(limit));
    EXPECT_EQ(word_.lock(me_, wait, Death::report), Locked::timed_out);
    const auto took = std::chrono::steady_clock::now() - start;
    EXPECT_GE(took, limit);
    EXPECT_LT(took, limit + 5s);
  }
}

class Interruptible final : public Wait {
 public:
  explicit Interruptible(std::atomic<bool>& flag) : flag_(flag) {}
  bool interrupted(bool) noexcept override { return flag_; }
  [[nodiscard]] std::int64_t asked_within_ns() const noexcept override { return kOftenNs; }
  void before() noexcept override { ++befores; }
  void after() noexcept override { ++afters; }
  std::atomic<int> befores{0};
  std::atomic<int> afters{0};

 private:
  std::atomic<bool>& flag_;
};

TEST_P(OwnerWordTest, a_wait_can_be_interrupted) {
  ASSERT_TRUE(word_.try_lock(other_));
  std::atomic<bool> flag{false};
  std::thread waiter = member_thread(kMe, [&] {
    Interruptible wait(flag);
    EXPECT_EQ(word_.lock(self(), wait, Death::take_over), Locked::interrupted);
    EXPECT_EQ(wait.befores, 1);
    EXPECT_EQ(wait.afters, 1);
  });
  FORKFUL_AWAIT(family_.asleep > 0);
  flag = true;
  waiter.join();
}

TEST_P(OwnerWordTest, an_uncontended_lock_never_blocks) {
  std::atomic<bool> flag{false};
  Interruptible wait(flag);
  EXPECT_EQ(word_.lock(me_, wait, Death::report), Locked::yes);
  EXPECT_EQ(wait.befores, 0);
  EXPECT_EQ(wait.afters, 0);
}

TEST_P(OwnerWordTest, anyone_may_unlock_and_wakes_a_waiter) {
  ASSERT_TRUE(word_.try_lock(other_));
  std::thread waiter = member_thread(kMe, [&] {
    Wait wait;
    EXPECT_EQ(word_.lock(self(), wait, Death::report), Locked::yes);
  });
  FORKFUL_AWAIT(family_.asleep > 0);
  EXPECT_TRUE(word_.unlock());
  waiter.join();
  EXPECT_EQ(word_.owner(), me_);
}

}  // namespace
}  // namespace forkful::sync
