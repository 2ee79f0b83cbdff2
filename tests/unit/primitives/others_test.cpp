// Semaphores, events and cells between processes.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/event.hpp>
#include <forkful/bytes/semaphore.hpp>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"

namespace forkful::bytes {
namespace {

using namespace std::chrono_literals;

bool sleeps(const test::Child& child) { return arena::member(child.member()).asleep != 0; }

TEST(RawSemaphore, counts_between_processes) {
  const RawSemaphore semaphore = RawSemaphore::create(2);
  std::atomic<int>& inside = test::shared<std::atomic<int>>();
  std::vector<test::Child> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(test::fork_child([&] {
      for (int round = 0; round < 1000; ++round) {
        Wait wait;
        FORKFUL_MUST(semaphore.acquire(wait) == Waited::done);
        FORKFUL_MUST(inside.fetch_add(1) < 2);
        inside.fetch_sub(1);
        FORKFUL_MUST(semaphore.release());
      }
    }));
  }
  for (test::Child& child : children) EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(semaphore.value(), 2u);
}

TEST(RawSemaphore, refuses_to_exceed_its_bound) {
  const RawSemaphore semaphore = RawSemaphore::create(1, 1);
  EXPECT_FALSE(semaphore.release());
  EXPECT_TRUE(semaphore.try_acquire());
  EXPECT_FALSE(semaphore.try_acquire());
  EXPECT_TRUE(semaphore.release());
  EXPECT_EQ(semaphore.value(), 1u);
  Wait poll(Deadline::poll());
  EXPECT_EQ(RawSemaphore::adopt(semaphore.id()).acquire(poll), Waited::done);
  EXPECT_EQ(semaphore.acquire(poll), Waited::timed_out);
}

TEST(RawSemaphore, a_permit_goes_with_its_dead_holder_and_waiters_live_on) {
  const RawSemaphore semaphore = RawSemaphore::create(1);
  test::Child holder = test::fork_child([&] {
    FORKFUL_MUST(semaphore.try_acquire());
    test::die();
  });
  EXPECT_EQ(holder.wait(), -SIGKILL);
  Wait wait(Deadline::in(30ms));
  EXPECT_EQ(semaphore.acquire(wait), Waited::timed_out);
  EXPECT_TRUE(semaphore.release());
  EXPECT_TRUE(semaphore.try_acquire());
}

TEST(RawSemaphore, a_release_is_not_lost_on_a_stopped_or_killed_waiter) {
  for (const int signal : {SIGSTOP, SIGKILL}) {
    const RawSemaphore semaphore = RawSemaphore::create(0);
    const auto body = [&] {
      Wait wait;
      FORKFUL_MUST(semaphore.acquire(wait) == Waited::done);
    };
    test::Child first = test::fork_child(body);
    FORKFUL_AWAIT(sleeps(first));
    first.signal(SIGSTOP);
    first.await_stopped();
    test::Child second = test::fork_child(body);
    FORKFUL_AWAIT(sleeps(second));
    ASSERT_TRUE(semaphore.release());
    if (signal == SIGKILL) first.kill();
    EXPECT_EQ(second.wait(), 0);
    if (signal == SIGSTOP) {
      first.signal(SIGCONT);
      ASSERT_TRUE(semaphore.release());
      EXPECT_EQ(first.wait(), 0);
    }
  }
}

TEST(RawEvent, wakes_all_processes_that_wait) {
  const RawEvent event = RawEvent::create();
  std::vector<test::Child> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(test::fork_child([&] {
      Wait wait;
      FORKFUL_MUST(event.wait(wait) == Waited::done);
    }));
  }
  for (const test::Child& child : children) FORKFUL_AWAIT(sleeps(child));
  event.set();
  event.clear();
  for (test::Child& child : children) EXPECT_EQ(child.wait(), 0);
  EXPECT_FALSE(event.is_set());
}

TEST(RawEvent, a_setter_may_die_and_its_waiters_still_wake) {
  const RawEvent event = RawEvent::create();
  test::Child waiter = test::fork_child([&] {
    Wait wait;
    FORKFUL_MUST(event.wait(wait) == Waited::done);
  });
  FORKFUL_AWAIT(sleeps(waiter));
  test::Child setter = test::fork_child([&] {
    event.set();
    test::die();
  });
  EXPECT_EQ(setter.wait(), -SIGKILL);
  EXPECT_EQ(waiter.wait(), 0);
  EXPECT_TRUE(RawEvent::adopt(event.id()).is_set());
}

TEST(RawEvent, a_signal_ends_the_wait_of_who_wants_that) {
  const RawEvent event = RawEvent::create();
  class Signalled final : public Wait {
   public:
    bool interrupted(bool signalled) noexcept override { return signalled; }
  };
  test::Child child = test::fork_child([&] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    Signalled wait;
    FORKFUL_MUST(event.wait(wait) == Waited::interrupted);
  });
  FORKFUL_AWAIT(sleeps(child));
  FORKFUL_AWAIT([&] {
    child.signal(SIGUSR1);  // again, where it came between two slices
    return !sleeps(child);
  }());
  EXPECT_EQ(child.wait(), 0);
}

TEST(Cell, is_shared_aligned_and_zero) {
  const Cell cell = Cell::create(1000);
  EXPECT_EQ(cell.memory().size(), 1000u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(cell.memory().data()) % 64, 0u);
  for (const std::byte byte : cell.memory()) EXPECT_EQ(byte, std::byte{0});
  test::Child child = test::fork_child([&] { cell.memory()[999] = std::byte{5}; });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(cell.memory()[999], std::byte{5});
  EXPECT_EQ(Cell::adopt(cell.id()).memory()[999], std::byte{5});
}

TEST(Cell, may_be_empty_or_large) {
  EXPECT_EQ(Cell::create(0).memory().size(), 0u);
  const Cell large = Cell::create(300 << 20);
  large.memory().back() = std::byte{1};
  EXPECT_EQ(large.memory().size(), std::size_t{300} << 20);
}

}  // namespace
}  // namespace forkful::bytes
