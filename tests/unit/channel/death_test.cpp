// Senders and receivers killed at each fault point: the queue goes on, nothing is half, nothing
// leaks.
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <string>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"

namespace forkful::bytes {
namespace {

using Put = ByteQueue::Put;
using Got = ByteQueue::Got;
using test::get;
using test::make_message;
using test::put;

constexpr std::size_t kSmall = 100;
constexpr std::size_t kLarge = 100'000;

enum class Fate { absent, sent, either };

struct KillAt {
  kernel::FaultPoint point;
  int pass;
  std::size_t size;
  Fate fate;
};

std::string name_of(const KillAt& at) {
  std::string name = std::string(at.point.name()) + "_" + std::to_string(at.pass) +
                     (at.size == kSmall ? "_small" : "_large");
  for (char& c : name) c = c == '.' ? '_' : c;
  return name;
}

// What the dead had committed and not applied counts, but only a member that takes the lock sees
// it.
std::uint32_t repaired_size(const ByteQueue& queue) {
  {
    const arena::ArenaJournal repaired;
  }
  return queue.size();
}

class Death : public testing::TestWithParam<KillAt> {
 protected:
  Death() {
    // A segment is there already; another test has the first put of all.
    EXPECT_EQ(put(queue_, make_message(9, 0, kSmall)), Put::sent);
    EXPECT_EQ(test::try_get(queue_).value().sender, 9u);
  }
  ~Death() override {
    queue_ = ByteQueue();
    arena::check_heap();
    EXPECT_EQ(arena::heap_use().used_bytes, used_);
  }
  void expect_survivor_goes_on() {
    for (std::uint32_t i = 0; i < 50; ++i) {
      ASSERT_EQ(put(queue_, make_message(7, i, i % 5 == 0 ? kLarge : kSmall)), Put::sent);
    }
    for (std::uint32_t i = 0; i < 50; ++i) {
      const auto stamp = test::try_get(queue_);
      ASSERT_TRUE(stamp);
      ASSERT_EQ(stamp->sender, 7u);
      ASSERT_EQ(stamp->number, i);
    }
    ASSERT_EQ(queue_.size(), 0u);
  }
  std::uint64_t used_ = (ByteQueue::create(), arena::heap_use().used_bytes);
  ByteQueue queue_ = ByteQueue::create();
};

class SenderKilledAt : public Death {};

TEST_P(SenderKilledAt, survivors_see_the_whole_message_or_none) {
  const KillAt& at = GetParam();
  ASSERT_EQ(put(queue_, make_message(1, 0, kSmall)), Put::sent);
  test::Child child = test::fork_child([&] {
    test::die_at(at.point, at.pass);
    (void)put(queue_, make_message(2, 0, at.size));
    test::must(false, "passed the fault point");
  });
  EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
  EXPECT_EQ(test::try_get(queue_).value().sender, 1u);
  const std::uint32_t left = repaired_size(queue_);
  if (at.fate != Fate::either) {
    EXPECT_EQ(left, at.fate == Fate::sent ? 1u : 0u);
  }
  if (left != 0) {
    const auto stamp = test::try_get(queue_);
    ASSERT_TRUE(stamp) << "half a message was visible";
    EXPECT_EQ(stamp->sender, 2u);
    EXPECT_EQ(stamp->size, at.size);
  }
  expect_survivor_goes_on();
  arena::process_ended(child.member());
}

TEST_P(SenderKilledAt, the_block_is_freed_also_when_the_queue_goes_first) {
  const KillAt& at = GetParam();
  test::Child child = test::fork_child([&] {
    test::die_at(at.point, at.pass);
    (void)put(queue_, make_message(2, 0, at.size));
  });
  EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
  queue_ = ByteQueue();
  arena::process_ended(child.member());
}

INSTANTIATE_TEST_SUITE_P(
    EveryFaultPoint, SenderKilledAt,
    testing::Values(KillAt{"queue.put.reserved", 1, kSmall, Fate::absent},
                    KillAt{"queue.put.committed", 1, kSmall, Fate::sent},
                    KillAt{"message.writing", 1, kLarge, Fate::absent},
                    KillAt{"message.written", 1, kLarge, Fate::absent},
                    KillAt{"queue.put.committed", 1, kLarge, Fate::sent},
                    // The first pass is the allocation's, the second the message's.
                    KillAt{"journal.staged", 1, kLarge, Fate::absent},
                    KillAt{"journal.committed", 1, kLarge, Fate::absent},
                    KillAt{"journal.applying", 1, kLarge, Fate::absent},
                    KillAt{"journal.applying", 4, kLarge, Fate::absent},
                    KillAt{"journal.staged", 2, kLarge, Fate::absent},
                    KillAt{"journal.committed", 2, kLarge, Fate::sent}),
    [](const auto& each) { return name_of(each.param); });

class ReceiverKilledAt : public Death {};

TEST_P(ReceiverKilledAt, the_message_stays_or_goes_with_it) {
  const KillAt& at = GetParam();
  ASSERT_EQ(put(queue_, make_message(1, 0, at.size)), Put::sent);
  ASSERT_EQ(put(queue_, make_message(2, 0, kSmall)), Put::sent);
  test::Child child = test::fork_child([&] {
    test::die_at(at.point, at.pass);
    ByteMessage message;
    (void)get(queue_, message);
    test::die();
  });
  EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
  const std::uint32_t left = repaired_size(queue_);
  EXPECT_EQ(left, at.fate == Fate::sent ? 2u : 1u);
  if (left == 2) {
    const auto stamp = test::try_get(queue_);
    ASSERT_TRUE(stamp);
    EXPECT_EQ(stamp->sender, 1u);
    EXPECT_EQ(stamp->size, at.size);
  }
  EXPECT_EQ(test::try_get(queue_).value().sender, 2u);
  expect_survivor_goes_on();
  arena::process_ended(child.member());
}

INSTANTIATE_TEST_SUITE_P(EveryFaultPoint, ReceiverKilledAt,
                         testing::Values(KillAt{"queue.get.copied", 1, kSmall, Fate::sent},
                                         KillAt{"queue.get.committed", 1, kSmall, Fate::absent},
                                         KillAt{"queue.get.committed", 1, kLarge, Fate::absent},
                                         KillAt{"journal.staged", 1, kLarge, Fate::sent},
                                         KillAt{"journal.committed", 1, kLarge, Fate::absent},
                                         KillAt{"journal.applying", 1, kLarge, Fate::absent},
                                         KillAt{"journal.applying", 2, kLarge, Fate::absent}),
                         [](const auto& each) { return name_of(each.param); });

// The first segment, and each later one, is linked by a change of several words.
class GrowthKilledAt : public Death {};

TEST_P(GrowthKilledAt, the_queue_goes_on_in_the_old_segment_or_the_new) {
  const KillAt& at = GetParam();
  for (const std::uint32_t before : {0u, 20u, 100u, 400u}) {
    ByteQueue queue = ByteQueue::create();
    for (std::uint32_t i = 0; i < before; ++i) {
      ASSERT_EQ(put(queue, make_message(1, i, kSmall)), Put::sent);
    }
    std::atomic<std::uint32_t>& sent = test::shared<std::atomic<std::uint32_t>>();
    test::Child child = test::fork_child([&] {
      test::die_at(at.point, at.pass);
      for (;; ++sent) (void)put(queue, make_message(2, sent, kSmall));
    });
    EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
    for (std::uint32_t i = 0; i < before; ++i) {
      ASSERT_EQ(test::try_get(queue).value().number, i);
    }
    const std::uint32_t left = repaired_size(queue);
    ASSERT_TRUE(left == sent || left == sent + 1);
    ASSERT_EQ(put(queue, make_message(3, 0, kSmall)), Put::sent);
    for (std::uint32_t i = 0; i < left; ++i) ASSERT_EQ(test::try_get(queue).value().number, i);
    ASSERT_EQ(test::try_get(queue).value().sender, 3u);
    ASSERT_EQ(queue.size(), 0u);
    arena::process_ended(child.member());
    arena::check_heap();
  }
}

// A receiver leaves a finished segment by such a change, too.
TEST_P(GrowthKilledAt, a_receiver_killed_while_it_leaves_a_segment_loses_nothing) {
  const KillAt& at = GetParam();
  constexpr std::uint32_t kMany = 1000;
  ByteQueue queue = ByteQueue::create();
  for (std::uint32_t i = 0; i < kMany; ++i) {
    ASSERT_EQ(put(queue, make_message(1, i, kSmall)), Put::sent);
  }
  for (int killed = 0; killed < 3; ++killed) {
    test::Child child = test::fork_child([&] {
      test::die_at(at.point, at.pass);
      for (;;) {
        if (!test::try_get(queue)) test::die();
      }
    });
    EXPECT_EQ(child.wait(), -SIGKILL);
    arena::check_heap();
  }
  std::uint32_t next = kMany - repaired_size(queue);
  while (next < kMany) ASSERT_EQ(test::try_get(queue).value().number, next++);
  EXPECT_EQ(queue.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(EveryFaultPoint, GrowthKilledAt,
                         testing::Values(KillAt{"journal.staged", 1, kSmall, Fate::either},
                                         KillAt{"journal.committed", 1, kSmall, Fate::either},
                                         KillAt{"journal.applying", 1, kSmall, Fate::either},
                                         KillAt{"journal.applying", 2, kSmall, Fate::either},
                                         KillAt{"journal.applying", 3, kSmall, Fate::either},
                                         KillAt{"journal.applying", 6, kSmall, Fate::either}),
                         [](const auto& each) { return name_of(each.param); });

// Segments of a MiB have their pages taken away when much is free; not while they are still needed.
TEST(DeathInALongQueue, a_receiver_killed_while_it_leaves_a_large_segment_loses_nothing) {
  arena::join_family();
  std::vector<arena::Offset> warm;  // freed, so that enough is warm for segments to be cooled
  for (int i = 0; i < 140; ++i) warm.push_back(arena::allocate_run(1020 << 10));
  const arena::Offset fence = arena::allocate_run(1);
  ByteQueue queue = ByteQueue::create();
  constexpr std::uint32_t kMany = 8000;
  for (std::uint32_t i = 0; i < kMany; ++i) {
    ASSERT_EQ(put(queue, make_message(1, i, 4000)), Put::sent);
  }
  for (const arena::Offset run : warm) arena::free_run(run);
  for (const kernel::FaultPoint point :
       test::FaultPoints{"journal.staged", "journal.committed", "journal.applying"}) {
    test::Child child = test::fork_child([&] {
      test::die_at(point, 8);  // after the small first segments
      for (;;) {
        if (!test::try_get(queue)) test::die();
      }
    });
    EXPECT_EQ(child.wait(), -SIGKILL);
    const auto stamp = test::try_get(queue);
    ASSERT_TRUE(stamp);
    EXPECT_EQ(stamp->number, kMany - queue.size() - 1);
  }
  arena::free_run(fence);
  queue = ByteQueue();
  arena::check_heap();
}

TEST(DeathOfASleeper, a_woken_receiver_that_is_killed_does_not_take_the_wake_up_with_it) {
  const ByteQueue queue = ByteQueue::create();
  const auto receive = [&] {
    ByteMessage message;
    FORKFUL_MUST(get(queue, message) == Got::received);
  };
  test::Child stopped = test::fork_child(receive);
  FORKFUL_AWAIT(arena::member(stopped.member()).asleep != 0);
  stopped.signal(SIGSTOP);
  stopped.await_stopped();
  test::Child other = test::fork_child(receive);
  FORKFUL_AWAIT(arena::member(other.member()).asleep != 0);
  ASSERT_EQ(put(queue, make_message(0, 0, 20)), Put::sent);  // may wake the stopped one
  EXPECT_EQ(stopped.kill(), -SIGKILL);
  EXPECT_EQ(other.wait(), 0);
}

TEST(DeathOfASleeper, a_killed_sender_of_a_bounded_queue_leaves_its_place) {
  const ByteQueue queue = ByteQueue::create(1);
  ASSERT_EQ(put(queue, make_message(0, 0, 20)), Put::sent);
  test::Child blocked = test::fork_child([&] { (void)put(queue, make_message(1, 0, 50'000)); });
  FORKFUL_AWAIT(arena::member(blocked.member()).asleep != 0);
  EXPECT_EQ(blocked.kill(), -SIGKILL);
  EXPECT_EQ(test::try_get(queue).value().sender, 0u);
  EXPECT_EQ(queue.size(), 0u);
  ASSERT_EQ(put(queue, make_message(2, 0, 20), Deadline::poll()), Put::sent);
}

}  // namespace
}  // namespace forkful::bytes
