// What a wait for an internal lock does while its owner is stopped.
#include "sync/internal_lock.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <forkful/bytes/around_wait.hpp>
#include <thread>

#include "support/simulated.hpp"

namespace forkful::sync {
namespace {

using test::ActAs;
using test::member_thread;
using test::SimulatedFamily;

OwnerWord* g_word;
std::atomic<int> g_begun{0};
std::atomic<int> g_ended{0};
std::atomic<bool> g_had_it_at_the_end{false};

// The lock's owner goes on when somebody has begun to wait.
constexpr bytes::AroundWait kCounted{[]() noexcept -> void* {
                                       if (g_begun++ == 0) g_word->unlock();
                                       return &g_begun;
                                     },
                                     [](void* begun) noexcept {
                                       EXPECT_EQ(begun, &g_begun);
                                       if (g_word->owner() == self()) g_had_it_at_the_end = true;
                                       ++g_ended;
                                     }};
constexpr bytes::AroundWait kNothing{[]() noexcept -> void* { return nullptr; },
                                     [](void*) noexcept {}};

class InternalLockTest : public testing::Test {
 protected:
  InternalLockTest() {
    g_word = &word_;
    g_begun = g_ended = 0;
    g_had_it_at_the_end = false;
    bytes::set_around_wait(kCounted);
  }
  ~InternalLockTest() override { bytes::set_around_wait(kNothing); }

  SimulatedFamily family_;
  OwnerWord word_;
  const MemberId me_ = SimulatedFamily::id(1);
  const MemberId stopped_ = SimulatedFamily::id(2);
};

TEST_F(InternalLockTest,
       a_wait_for_a_stopped_owner_gives_away_what_it_can_and_takes_it_back_first) {
  const ActAs me(1);
  ASSERT_TRUE(word_.try_lock(stopped_));
  EXPECT_EQ(lock_internally(word_, me_, IfStuck::wait), Locked::yes);
  EXPECT_EQ(word_.owner(), me_);
  EXPECT_EQ(g_begun, g_ended);
  EXPECT_GE(g_begun, 1);
  EXPECT_FALSE(g_had_it_at_the_end);
}

TEST_F(InternalLockTest, whoever_leaves_is_told_and_waits_outside) {
  const ActAs me(1);
  ASSERT_TRUE(word_.try_lock(stopped_));
  int steps = 0;
  const int answer = get_through([&] {
    ++steps;
    EXPECT_EQ(lock_internally(word_, me_, IfStuck::leave), Locked::yes);
    return 7;
  });
  EXPECT_EQ(answer, 7);
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(g_begun, g_ended);
  EXPECT_GE(g_begun, 1);
}

TEST_F(InternalLockTest, a_bare_wait_gives_nothing_away) {
  ASSERT_TRUE(word_.try_lock(stopped_));
  std::atomic<bool> done{false};
  std::thread waiter = member_thread(1, [&] {
    BareWaits::begin();
    EXPECT_EQ(lock_internally(word_, me_, IfStuck::wait), Locked::yes);
    BareWaits::end();
    done = true;
  });
  // Why: that nothing happens can only be waited for; longer than a wait that is not bare needs.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(done);
  EXPECT_EQ(g_begun, 0);
  word_.unlock();
  waiter.join();
  EXPECT_EQ(word_.owner(), me_);
}

TEST_F(InternalLockTest, a_lock_that_is_free_soon_costs_no_giving_away) {
  const ActAs me(1);
  EXPECT_EQ(lock_internally(word_, me_, IfStuck::wait), Locked::yes);
  EXPECT_EQ(g_begun, 0);
}

}  // namespace
}  // namespace forkful::sync
