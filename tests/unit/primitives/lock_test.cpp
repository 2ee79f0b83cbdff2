// Locks between processes: who dies with one, who exits with one, who is told.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <forkful/bytes/lock.hpp>
#include <thread>

#include "arena/membership.hpp"
#include "support/child.hpp"

namespace forkful::bytes {
namespace {

using namespace std::chrono_literals;

template <class Lock>
class LockTest : public testing::Test {
 protected:
  // Ends when the lock is taken and its owner dead.
  static test::Child die_with(const Lock& lock) {
    test::Child child = test::fork_child([&] {
      Wait wait;
      FORKFUL_MUST(lock.acquire(wait) == Acquired::yes);
      test::die();
    });
    EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
    return child;
  }
  static Acquired acquire(const Lock& lock, Deadline until = Deadline::in(20s)) {
    Wait wait(until);
    return lock.acquire(wait);
  }
  static bool sleeps(const test::Child& child) { return arena::member(child.member()).asleep != 0; }
  // More often than the ends of an entry's members are remembered.
  static void use_slot_again(base::MemberId owner) {
    for (int rounds = 0; rounds < 60;) {
      const std::uint64_t before = arena::member(owner).state.load();
      arena::reap(arena::reserve_member(0, sync::self(), {}), sync::End::died);
      rounds += arena::member(owner).state.load() != before ? 1 : 0;
    }
  }
  std::atomic<int>& ready_ = test::shared<std::atomic<int>>();
  std::atomic<int>& go_ = test::shared<std::atomic<int>>();
};

using Locks = testing::Types<RawLock, RawRLock>;
TYPED_TEST_SUITE(LockTest, Locks);

TYPED_TEST(LockTest, processes_exclude_each_other) {
  const TypeParam lock = TypeParam::create();
  struct Counter {
    long value;
  };
  auto& counter = test::shared<Counter>();
  constexpr int kRounds = 3000;
  std::vector<test::Child> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(test::fork_child([&] {
      for (int round = 0; round < kRounds; ++round) {
        FORKFUL_MUST(this->acquire(lock) == Acquired::yes);
        ++counter.value;
        FORKFUL_MUST(lock.release());
      }
    }));
  }
  for (test::Child& child : children) EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(counter.value, 3 * kRounds);
  EXPECT_FALSE(lock.locked());
}

TYPED_TEST(LockTest, raise_tells_of_the_dead_owner_and_recover_takes_the_lock) {
  const TypeParam lock = TypeParam::create(OnOwnerDeath::raise);
  for (const bool reaped : {false, true}) {
    test::Child dead = this->die_with(lock);
    if (reaped) arena::process_ended(dead.member());
    EXPECT_TRUE(lock.locked());
    EXPECT_EQ(this->acquire(lock), Acquired::owner_died);
    EXPECT_EQ(this->acquire(lock, Deadline::poll()), Acquired::owner_died) << "and tells again";
    EXPECT_TRUE(lock.recover());
    EXPECT_FALSE(lock.recover()) << "it has a living owner now";
    EXPECT_TRUE(lock.locked());
    EXPECT_TRUE(lock.release());
    EXPECT_FALSE(lock.locked());
    arena::process_ended(dead.member());
  }
}

TYPED_TEST(LockTest, a_waiter_that_sleeps_already_is_told) {
  const TypeParam lock = TypeParam::create(OnOwnerDeath::raise);
  test::Child owner = test::fork_child([&] {
    FORKFUL_MUST(this->acquire(lock) == Acquired::yes);
    this->ready_ = 1;
    for (;;) ::pause();
  });
  FORKFUL_AWAIT(this->ready_ == 1);
  test::Child waiter = test::fork_child([&] {
    FORKFUL_MUST(this->acquire(lock) == Acquired::owner_died);
    FORKFUL_MUST(lock.recover());
    FORKFUL_MUST(lock.release());
  });
  FORKFUL_AWAIT(this->sleeps(waiter));
  owner.signal(SIGKILL);
  EXPECT_EQ(waiter.wait(), 0);
}

TYPED_TEST(LockTest, recover_gives_a_waiter_the_lock) {
  const TypeParam lock = TypeParam::create(OnOwnerDeath::recover);
  test::Child dead = this->die_with(lock);
  EXPECT_EQ(this->acquire(lock), Acquired::yes);
  EXPECT_TRUE(lock.release());
  arena::process_ended(dead.member());
}

TYPED_TEST(LockTest, block_waits_on_as_the_standard_library_does) {
  const TypeParam lock = TypeParam::create(OnOwnerDeath::block);
  test::Child dead = this->die_with(lock);
  EXPECT_EQ(this->acquire(lock, Deadline::in(150ms)), Acquired::timed_out);
  EXPECT_TRUE(lock.recover()) << "who asks for it gets it";
  EXPECT_TRUE(lock.release());
  arena::process_ended(dead.member());
}

TYPED_TEST(LockTest, an_owner_that_exits_in_order_keeps_it_locked) {
  for (const auto policy : {OnOwnerDeath::raise, OnOwnerDeath::recover}) {
    const TypeParam lock = TypeParam::create(policy);
    test::Child owner =
        test::fork_child([&] { FORKFUL_MUST(this->acquire(lock) == Acquired::yes); });
    EXPECT_EQ(owner.wait_without_reaping(), 0);
    for (int reaped = 0; reaped < 2; ++reaped) {
      EXPECT_EQ(this->acquire(lock, Deadline::in(30ms)), Acquired::timed_out);
      EXPECT_FALSE(lock.recover());
      EXPECT_TRUE(lock.locked());
      arena::process_ended(owner.member());
    }
  }
}

TYPED_TEST(LockTest, an_owner_that_exits_without_goodbye_has_died) {
  const TypeParam lock = TypeParam::create();
  test::Child owner = test::fork_child([&] {
    FORKFUL_MUST(this->acquire(lock) == Acquired::yes);
    ::_exit(0);
  });
  EXPECT_EQ(owner.wait(), 0);
  EXPECT_EQ(this->acquire(lock), Acquired::owner_died);
}

TYPED_TEST(LockTest, an_owner_that_execs_has_died) {
  const TypeParam lock = TypeParam::create();
  test::Child owner = test::fork_child([&] {
    FORKFUL_MUST(this->acquire(lock) == Acquired::yes);
    ::execlp("sleep", "sleep", "60", nullptr);
  });
  FORKFUL_AWAIT(lock.locked());
  EXPECT_EQ(this->acquire(lock), Acquired::owner_died);
  EXPECT_EQ(::kill(owner.pid(), 0), 0) << "its process runs";
}

TYPED_TEST(LockTest, a_stopped_waiter_harms_nobody) {
  const TypeParam lock = TypeParam::create();
  ASSERT_EQ(this->acquire(lock), Acquired::yes);
  const auto body = [&] {
    FORKFUL_MUST(this->acquire(lock) == Acquired::yes);
    FORKFUL_MUST(lock.release());
  };
  test::Child stopped = test::fork_child(body);
  FORKFUL_AWAIT(this->sleeps(stopped));
  stopped.signal(SIGSTOP);
  stopped.await_stopped();
  test::Child other = test::fork_child(body);
  FORKFUL_AWAIT(this->sleeps(other));
  ASSERT_TRUE(lock.release());
  EXPECT_EQ(other.wait(), 0);
  stopped.signal(SIGCONT);
  EXPECT_EQ(stopped.wait(), 0);
}

TYPED_TEST(LockTest, a_stopped_owner_is_waited_for) {
  const TypeParam lock = TypeParam::create();
  test::Child owner = test::fork_child([&] {
    FORKFUL_MUST(this->acquire(lock) == Acquired::yes);
    this->ready_ = 1;
    FORKFUL_AWAIT(this->go_ == 1);
    FORKFUL_MUST(lock.release());
  });
  FORKFUL_AWAIT(this->ready_ == 1);
  owner.signal(SIGSTOP);
  owner.await_stopped();
  EXPECT_EQ(this->acquire(lock, Deadline::in(50ms)), Acquired::timed_out);
  this->go_ = 1;
  owner.signal(SIGCONT);
  EXPECT_EQ(this->acquire(lock), Acquired::yes);
  EXPECT_EQ(owner.wait(), 0);
}

TYPED_TEST(LockTest, a_waiter_that_is_killed_when_woken_does_not_take_the_wake_up_with_it) {
  const TypeParam lock = TypeParam::create();
  ASSERT_EQ(this->acquire(lock), Acquired::yes);
  const auto body = [&] {
    FORKFUL_MUST(this->acquire(lock) == Acquired::yes);
    FORKFUL_MUST(lock.release());
  };
  test::Child first = test::fork_child(body);
  FORKFUL_AWAIT(this->sleeps(first));
  first.signal(SIGSTOP);
  first.await_stopped();
  test::Child second = test::fork_child(body);
  FORKFUL_AWAIT(this->sleeps(second));
  ASSERT_TRUE(lock.release());
  first.kill();
  EXPECT_EQ(second.wait(), 0);
}

TYPED_TEST(LockTest, adopted_by_name_is_the_same_lock) {
  const TypeParam lock = TypeParam::create();
  const TypeParam same = TypeParam::adopt(lock.id());
  ASSERT_EQ(this->acquire(same), Acquired::yes);
  EXPECT_TRUE(lock.locked());
  test::Child child = test::fork_child([&] {
    const TypeParam adopted = TypeParam::adopt(lock.id());
    FORKFUL_MUST(this->acquire(adopted, Deadline::poll()) == Acquired::timed_out);
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(lock.release());
}

TYPED_TEST(LockTest, threads_exclude_each_other) {
  const TypeParam lock = TypeParam::create();
  long counter = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        ASSERT_EQ(this->acquire(lock), Acquired::yes);
        ++counter;
        ASSERT_TRUE(lock.release());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter, 8000);
}

TYPED_TEST(LockTest, that_a_leaver_left_locked_stays_so_however_often_its_slot_is_used) {
  const TypeParam lock = TypeParam::create();
  test::Child leaver =
      test::fork_child([&] { FORKFUL_MUST(this->acquire(lock) == Acquired::yes); });
  const base::MemberId owner = leaver.member();
  EXPECT_EQ(leaver.wait(), 0);
  this->use_slot_again(owner);
  EXPECT_EQ(this->acquire(lock, Deadline::in(1ms)), Acquired::timed_out);
  EXPECT_FALSE(lock.recover());
}

TYPED_TEST(LockTest, of_a_dead_owner_says_so_however_often_its_slot_is_used) {
  const TypeParam lock = TypeParam::create();
  test::Child dead = this->die_with(lock);
  const base::MemberId owner = dead.member();
  arena::process_ended(owner);
  this->use_slot_again(owner);
  EXPECT_EQ(this->acquire(lock), Acquired::owner_died);
  EXPECT_TRUE(lock.recover());
  EXPECT_TRUE(lock.release());
}

TEST(RawLock, may_be_released_by_another_process) {
  const RawLock lock = RawLock::create();
  ASSERT_TRUE(lock.try_acquire());
  ASSERT_FALSE(lock.try_acquire());
  test::Child child = test::fork_child([&] { FORKFUL_MUST(lock.release()); });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_FALSE(lock.locked());
  EXPECT_FALSE(lock.release());
}

TEST(RawRLock, is_held_as_often_as_its_thread_took_it) {
  const RawRLock lock = RawRLock::create();
  for (std::uint32_t depth = 1; depth <= 3; ++depth) {
    Wait wait;
    ASSERT_EQ(lock.acquire(wait), Acquired::yes);
    EXPECT_EQ(lock.depth(), depth);
  }
  EXPECT_TRUE(lock.mine());
  const auto is_refused = [&] {
    Wait poll(Deadline::poll());
    return !lock.mine() && !lock.release() && lock.acquire(poll) == Acquired::timed_out;
  };
  std::thread([&] { EXPECT_TRUE(is_refused()); }).join();
  test::Child child = test::fork_child([&] { FORKFUL_MUST(is_refused()); });
  EXPECT_EQ(child.wait(), 0);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(lock.release());
  EXPECT_FALSE(lock.release());
  EXPECT_FALSE(lock.locked());
}

}  // namespace
}  // namespace forkful::bytes
