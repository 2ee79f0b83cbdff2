// A member killed at any instruction of put() and get(): what seeds do not find.
//
//   FORKFUL_STEPS=100000 tests more kill points than CI does.
#include <gtest/gtest.h>

#include <vector>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"
#include "support/stepper.hpp"

namespace forkful::bytes {
namespace {

using test::make_message;
using Put = ByteQueue::Put;
using Got = ByteQueue::Got;

constexpr long kMostPoints = 300;
constexpr long kFewPoints = 60;  // where each has a process more
constexpr std::uint32_t kOld = 1;
constexpr std::uint32_t kNew = 2;

class KilledAtAnyInstruction : public testing::Test {
 protected:
  void SetUp() override {
    if (test::kThreadSanitizer) GTEST_SKIP() << "it steps through the sanitizer";
  }

  // Puts `old` messages; then a victim puts one more and takes `gets`.
  void kill_everywhere(std::uint32_t old, std::size_t size, std::uint32_t gets,
                       std::uint32_t bound = 0) {
    arena::join_family();
    {
      const ByteQueue first = ByteQueue::create();
    }
    ByteQueue queue;
    const std::vector<std::byte> message = make_message(kNew, 0, size);
    const auto fill = [&] {
      queue = ByteQueue::create(bound);
      for (std::uint32_t i = 0; i < old; ++i) {
        ASSERT_EQ(test::put(queue, make_message(kOld, i, size)), Put::sent);
      }
    };
    const auto victim = [&] {
      (void)test::put(queue, message);
      for (std::uint32_t i = 0; i < gets; ++i) {
        ByteMessage into;
        Wait wait(Deadline::poll());
        (void)queue.get(into, wait);
      }
    };
    const std::uint64_t used = arena::heap_use().used_bytes;
    fill();
    test::at_many_instructions(kMostPoints, victim, [&](long steps) {
      fill();
      test::step_and_kill(steps, victim, [&] { expect_whole(queue, old, size); });
      queue = ByteQueue();
      arena::check_heap();
      ASSERT_EQ(arena::heap_use().used_bytes, used);
    });
  }

  // Some of the first are gone, the last is there or not, the rest is in order and whole.
  static void expect_whole(const ByteQueue& queue, std::uint32_t old, std::size_t size) {
    ASSERT_EQ(test::put(queue, make_message(3, 0, size)), Put::sent);
    std::vector<test::Stamp> found;
    do {
      const auto stamp = test::try_get(queue);
      ASSERT_TRUE(stamp) << "half a message, or fewer than were sent";
      ASSERT_EQ(stamp->size, size);
      found.push_back(*stamp);
    } while (found.back().sender != 3);
    ASSERT_EQ(queue.size(), 0u);
    found.pop_back();
    if (!found.empty() && found.back().sender == kNew) found.pop_back();
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].sender, kOld);
      ASSERT_EQ(found[i].number, old - found.size() + i);
    }
  }
};

// At its bound a queue takes nothing until something was taken out, and then just as much again,
// whoever died meanwhile.
TEST_F(KilledAtAnyInstruction, of_putting_and_getting_at_the_bound) {
  constexpr std::uint32_t kBound = 3;
  constexpr std::size_t kSize = 64;
  arena::join_family();
  ByteQueue queue;
  const auto put_now = [&](std::uint32_t sender, std::uint32_t number) {
    return test::put(queue, make_message(sender, number, kSize), Deadline::poll());
  };
  const auto fill = [&] {
    queue = ByteQueue::create(kBound);
    for (std::uint32_t i = 0; i < kBound; ++i) ASSERT_EQ(put_now(kOld, i), Put::sent);
  };
  const auto victim = [&] {
    for (std::uint32_t i = 0; i < 2; ++i) {
      FORKFUL_MUST(put_now(kNew, i) == Put::timed_out);
      FORKFUL_MUST(test::try_get(queue));
      FORKFUL_MUST(put_now(kNew, i) == Put::sent);
    }
  };
  const auto look = [&] {
    std::vector<test::Stamp> found;
    while (queue.size() > 0) {
      const auto stamp = test::try_get(queue);
      ASSERT_TRUE(stamp) << "half a message, or fewer than were counted";
      found.push_back(*stamp);
    }
    ASSERT_GE(found.size(), kBound - 1) << "it had one in its hands at most";
    ASSERT_LE(found.size(), kBound);
    for (std::size_t i = 1; i < found.size(); ++i) {
      const bool next = found[i].number == found[i - 1].number + 1;
      ASSERT_TRUE(found[i].sender == found[i - 1].sender ? next : found[i].number == 0);
    }
    for (std::uint32_t i = 0; i < kBound; ++i) ASSERT_EQ(put_now(3, i), Put::sent);
    ASSERT_EQ(put_now(3, kBound), Put::timed_out) << "more than the bound";
  };
  fill();
  test::at_many_instructions(kMostPoints, victim, [&](long steps) {
    fill();
    test::step_and_kill(steps, victim, look);
    queue = ByteQueue();
    arena::check_heap();
  });
}

TEST_F(KilledAtAnyInstruction, of_a_first_put_and_its_get) { kill_everywhere(0, 64, 1); }
TEST_F(KilledAtAnyInstruction, of_putting_and_getting_inline) { kill_everywhere(2, 64, 2); }
TEST_F(KilledAtAnyInstruction, of_putting_and_getting_a_block) { kill_everywhere(1, 5000, 2); }
TEST_F(KilledAtAnyInstruction, of_linking_and_leaving_a_segment) { kill_everywhere(4, 4000, 5); }

TEST_F(KilledAtAnyInstruction, of_putting_and_getting_in_a_bounded_queue) {
  kill_everywhere(2, 64, 2, 4);
}
TEST_F(KilledAtAnyInstruction, of_finding_a_bounded_queue_full_and_making_room) {
  arena::join_family();
  ByteQueue queue;
  const auto fill = [&] {
    queue = ByteQueue::create(2);
    for (std::uint32_t i = 0; i < 2; ++i) {
      ASSERT_EQ(test::put(queue, make_message(kOld, i, 64)), Put::sent);
    }
  };
  const auto victim = [&] {
    const std::vector<std::byte> message = make_message(kNew, 0, 64);
    (void)test::put(queue, message, Deadline::poll());
    (void)test::try_get(queue);
    (void)test::put(queue, message, Deadline::poll());
  };
  fill();
  test::at_many_instructions(kMostPoints, victim, [&](long steps) {
    fill();
    test::step_and_kill(steps, victim);
    // Whatever room there is can be used, and no more than that.
    std::uint32_t left = queue.size();
    ASSERT_TRUE(left == 1 || left == 2);
    for (; left < 2; ++left) {
      ASSERT_EQ(test::put(queue, make_message(3, 0, 64), Deadline::poll()), Put::sent);
    }
    ASSERT_EQ(test::put(queue, make_message(3, 0, 64), Deadline::poll()), Put::timed_out);
    ASSERT_TRUE(test::try_get(queue) && test::try_get(queue) && !test::try_get(queue));
  });
}

// Whoever sleeps at the other end gets what is there for it, whether the dead has notified or not.
TEST_F(KilledAtAnyInstruction, of_getting_while_a_sender_waits_for_room) {
  arena::join_family();
  ByteQueue queue = ByteQueue::create(1);
  const auto victim = [&] { (void)test::try_get(queue); };
  ASSERT_EQ(test::put(queue, make_message(kOld, 0, 64)), Put::sent);
  test::at_many_instructions(kFewPoints, victim, [&](long steps) {
    queue = ByteQueue::create(1);
    ASSERT_EQ(test::put(queue, make_message(kOld, 0, 64)), Put::sent);
    test::Child sender = test::fork_child(
        [&] { FORKFUL_MUST(test::put(queue, make_message(kNew, 0, 64)) == Put::sent); });
    sender.await_asleep();
    test::step_and_kill(steps, victim);
    ByteMessage into;
    do {  // the victim may have left the old one
      ASSERT_EQ(test::get(queue, into), Got::received);
    } while (test::read_message(into.bytes()).value().sender != kNew);
    ASSERT_EQ(sender.wait(), 0);
  });
}
TEST_F(KilledAtAnyInstruction, of_putting_while_a_receiver_waits) {
  arena::join_family();
  ByteQueue queue = ByteQueue::create(2);
  const std::vector<std::byte> message = make_message(kNew, 0, 64);
  const auto victim = [&] { (void)test::put(queue, message, Deadline::poll()); };
  test::at_many_instructions(kFewPoints, victim, [&](long steps) {
    queue = ByteQueue::create(2);
    test::Child receiver = test::fork_child([&] {
      ByteMessage into;
      FORKFUL_MUST(test::get(queue, into) == Got::received);
    });
    receiver.await_asleep();
    test::step_and_kill(steps, victim);
    if (queue.puts() == 0) {
      ASSERT_EQ(test::put(queue, message), Put::sent);
    }
    ASSERT_EQ(receiver.wait(), 0);
  });
}

}  // namespace
}  // namespace forkful::bytes
