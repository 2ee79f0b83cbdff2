// What a queue promises to those who live: order, sizes, bounds, shutting down.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <forkful/bytes/queue.hpp>
#include <random>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"

namespace forkful::bytes {
namespace {

using namespace std::chrono_literals;
using Put = ByteQueue::Put;
using Got = ByteQueue::Got;
using test::get;
using test::make_message;
using test::put;
using test::read_message;

class Queue : public testing::Test {
 protected:
  ~Queue() override {
    queue_ = ByteQueue();
    arena::check_heap();
    EXPECT_EQ(arena::heap_use().used_bytes, used_);
  }
  // Before queue_: a first object brings the first small blocks.
  std::uint64_t used_ = (ByteQueue::create(), arena::heap_use().used_bytes);
  ByteQueue queue_ = ByteQueue::create();
};

TEST_F(Queue, every_size_comes_out_as_it_went_in) {
  std::vector<std::size_t> sizes;
  for (std::size_t size = 0; size <= kInlineBytes + 40; size += size < 80 ? 1 : 37)
    sizes.push_back(size);
  for (const std::size_t size : {kInlineBytes - 1, kInlineBytes, kInlineBytes + 1})
    sizes.push_back(size);
  for (const std::size_t size : sizes) {
    const std::vector<std::byte> message(size, std::byte(size % 251));
    ASSERT_EQ(put(queue_, message), Put::sent);
  }
  EXPECT_EQ(queue_.size(), sizes.size());
  for (const std::size_t size : sizes) {
    ByteMessage message;
    ASSERT_EQ(get(queue_, message), Got::received);
    ASSERT_EQ(message.bytes().size(), size);
    for (const std::byte byte : message.bytes()) ASSERT_EQ(byte, std::byte(size % 251));
  }
}

TEST_F(Queue, large_messages_come_out_whole) {
  for (const std::size_t size : {5'000ul, 65'536ul, 1'000'003ul, 40ul << 20}) {
    ASSERT_EQ(put(queue_, make_message(1, 2, size)), Put::sent);
    ByteMessage message;
    ASSERT_EQ(get(queue_, message), Got::received);
    const auto stamp = read_message(message.bytes());
    ASSERT_TRUE(stamp);
    EXPECT_EQ(stamp->size, size);
    message.data()[0] = std::byte{9};  // the receiver's own
  }
}

TEST_F(Queue, parts_are_sent_as_one_message) {
  for (const std::size_t large : {10ul, 10'000ul}) {
    const std::vector<std::byte> a(3, std::byte{'a'});
    const std::vector<std::byte> b(large, std::byte{'b'});
    const std::array<Bytes, 4> parts{a, Bytes(), b, a};
    Wait wait;
    ASSERT_EQ(queue_.put(parts, wait), Put::sent);
    ByteMessage message;
    ASSERT_EQ(get(queue_, message), Got::received);
    ASSERT_EQ(message.bytes().size(), large + 6);
    EXPECT_EQ(message.bytes()[2], std::byte{'a'});
    EXPECT_EQ(message.bytes()[3], std::byte{'b'});
    EXPECT_EQ(message.bytes()[large + 5], std::byte{'a'});
  }
}

TEST_F(Queue, random_lengths_and_bursts_keep_the_order_through_wraps_and_growth) {
  std::mt19937 random(test::seed());
  std::uint32_t sent = 0;
  std::uint32_t received = 0;
  for (int burst = 0; burst < 400; ++burst) {
    for (auto n = random() % (burst % 50 == 0 ? 3000 : 40); n > 0; --n) {
      const std::size_t size = random() % 20 == 0 ? random() % 9000 : random() % 300;
      ASSERT_EQ(put(queue_, make_message(0, sent++, size)), Put::sent);
    }
    for (auto n = random() % 60; n > 0 && received < sent; --n) {
      const auto stamp = test::try_get(queue_);
      ASSERT_TRUE(stamp) << received;
      ASSERT_EQ(stamp->number, received++);
    }
    ASSERT_EQ(queue_.size(), sent - received);
  }
  while (received < sent) ASSERT_EQ(test::try_get(queue_).value().number, received++);
  EXPECT_EQ(queue_.size(), 0u);
}

TEST_F(Queue, a_full_segment_of_every_record_length_wraps) {
  for (std::size_t size = 0; size <= kInlineBytes; size += 8) {
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(put(queue_, make_message(1, i, size)), Put::sent);
      ASSERT_EQ(put(queue_, make_message(2, i, size)), Put::sent);
      ASSERT_EQ(test::try_get(queue_).value().sender, 1u);
      ASSERT_EQ(test::try_get(queue_).value().sender, 2u);
    }
  }
}

TEST_F(Queue, a_million_unread_messages_are_given_back_with_the_queue) {
  const std::byte small[8] = {};
  const int many = test::kThreadSanitizer ? 100'000 : 1'000'000;
  for (int i = 0; i < many; ++i) ASSERT_EQ(put(queue_, small), Put::sent);
  EXPECT_EQ(queue_.size(), static_cast<std::uint32_t>(many));
  for (int i = 0; i < 200; ++i) ASSERT_EQ(put(queue_, make_message(0, i, 6000)), Put::sent);
  EXPECT_GT(arena::heap_use().used_bytes, used_ + 16u * static_cast<std::uint32_t>(many));
}

TEST_F(Queue, a_large_unread_queue_is_emptied_in_order) {
  constexpr std::uint32_t kMany = 50'000;
  for (std::uint32_t i = 0; i < kMany; ++i)
    ASSERT_EQ(put(queue_, make_message(0, i, 40)), Put::sent);
  for (std::uint32_t i = 0; i < kMany; ++i) ASSERT_EQ(test::try_get(queue_).value().number, i);
  EXPECT_EQ(get(queue_, *std::make_unique<ByteMessage>(), Deadline::poll()), Got::timed_out);
}

TEST_F(Queue, a_bounded_queue_is_full_at_its_bound_and_a_get_makes_room) {
  queue_ = ByteQueue::create(3);
  EXPECT_EQ(queue_.most_messages(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(queue_.full());
    EXPECT_EQ(put(queue_, make_message(0, i, 5000 * (i % 2)), Deadline::poll()), Put::sent);
  }
  EXPECT_TRUE(queue_.full());
  EXPECT_EQ(put(queue_, make_message(0, 9, 10), Deadline::poll()), Put::timed_out);
  EXPECT_EQ(put(queue_, make_message(0, 9, 9000), Deadline::in(5ms)), Put::timed_out);
  EXPECT_EQ(test::try_get(queue_).value().number, 0u);
  EXPECT_EQ(put(queue_, make_message(0, 3, 10), Deadline::poll()), Put::sent);
  for (std::uint32_t i = 1; i <= 3; ++i) EXPECT_EQ(test::try_get(queue_).value().number, i);
}

TEST_F(Queue, a_sender_blocked_on_a_full_queue_goes_on_when_there_is_room) {
  queue_ = ByteQueue::create(1);
  ASSERT_EQ(put(queue_, make_message(0, 0, 10)), Put::sent);
  std::thread sender([&] { EXPECT_EQ(put(queue_, make_message(0, 1, 10)), Put::sent); });
  FORKFUL_AWAIT(arena::member(sync::self()).asleep != 0);
  EXPECT_EQ(test::try_get(queue_).value().number, 0u);
  sender.join();
  EXPECT_EQ(test::try_get(queue_).value().number, 1u);
}

TEST_F(Queue, get_honours_its_deadline) {
  ByteMessage message;
  for (const auto limit : {0ms, 2ms, 60ms}) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(get(queue_, message, Deadline::in(limit)), Got::timed_out);
    EXPECT_GE(std::chrono::steady_clock::now() - start, limit);
    EXPECT_LT(std::chrono::steady_clock::now() - start, limit + 5s);
  }
}

TEST_F(Queue, whoever_waits_for_a_message_leaves_it_to_a_receiver) {
  Wait poll(Deadline::poll());
  EXPECT_EQ(queue_.await_message(poll), Waited::timed_out);
  std::vector<std::thread> watchers;
  for (int i = 0; i < 3; ++i) {
    watchers.emplace_back([&] {
      Wait forever;
      EXPECT_EQ(queue_.await_message(forever), Waited::done);
    });
  }
  FORKFUL_AWAIT(arena::member(sync::self()).asleep == 3);
  ASSERT_EQ(put(queue_, make_message(0, 7, 10)), Put::sent);
  for (std::thread& each : watchers) each.join();
  EXPECT_EQ(queue_.await_message(poll), Waited::done);
  EXPECT_EQ(test::try_get(queue_).value().number, 7u);
  queue_.shut_down();
  EXPECT_EQ(queue_.await_message(poll), Waited::done);
}

TEST_F(Queue, a_receiver_gets_each_message_beside_those_who_only_look) {
  constexpr std::uint32_t kMessages = 2000;
  std::atomic<bool> over{false};
  std::thread watcher([&] {
    while (!over) {
      Wait wait(Deadline::in(100ms));
      (void)queue_.await_message(wait);
    }
  });
  std::thread receiver([&] {
    for (std::uint32_t i = 0; i < kMessages; ++i) {
      ByteMessage message;
      ASSERT_EQ(get(queue_, message, Deadline::in(10s)), Got::received);
    }
  });
  for (std::uint32_t i = 0; i < kMessages; ++i) {
    ASSERT_EQ(put(queue_, make_message(0, i, 10)), Put::sent);
    FORKFUL_AWAIT(queue_.size() == 0);
  }
  receiver.join();
  over = true;
  watcher.join();
}

TEST_F(Queue, shutting_down_refuses_puts_and_lets_gets_empty_it_first) {
  ASSERT_EQ(put(queue_, make_message(0, 0, 10)), Put::sent);
  ASSERT_EQ(put(queue_, make_message(0, 1, 9000)), Put::sent);
  queue_.shut_down();
  EXPECT_TRUE(queue_.is_shut_down());
  EXPECT_EQ(put(queue_, make_message(0, 2, 10)), Put::shut_down);
  EXPECT_EQ(put(queue_, make_message(0, 2, 9000)), Put::shut_down);
  EXPECT_EQ(test::try_get(queue_).value().number, 0u);
  EXPECT_EQ(test::try_get(queue_).value().number, 1u);
  ByteMessage message;
  EXPECT_EQ(get(queue_, message), Got::shut_down);
}

TEST_F(Queue, shutting_down_wakes_blocked_senders_and_receivers) {
  ByteQueue full = ByteQueue::create(1);
  ASSERT_EQ(put(full, make_message(0, 0, 10)), Put::sent);
  std::thread sender([&] { EXPECT_EQ(put(full, make_message(0, 1, 10)), Put::shut_down); });
  std::thread receiver([&] {
    ByteMessage message;
    EXPECT_EQ(get(queue_, message), Got::shut_down);
  });
  FORKFUL_AWAIT(arena::member(sync::self()).asleep == 2);
  full.shut_down();
  queue_.shut_down();
  sender.join();
  receiver.join();
}

// A receiver that saw the end must not have missed anything.
TEST_F(Queue, nothing_is_sent_behind_the_end) {
  for (int round = 0; round < 300; ++round) {
    const ByteQueue queue = ByteQueue::create();
    std::atomic<int> sent{0};
    std::atomic<int> received{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        while (put(queue, make_message(0, 0, 16)) == Put::sent) ++sent;
      });
    }
    threads.emplace_back([&] {
      ByteMessage message;
      while (get(queue, message) == Got::received) ++received;
    });
    FORKFUL_AWAIT(sent > 2);
    queue.shut_down();
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(sent, received);
    ASSERT_EQ(queue.size(), 0u);
  }
}

TEST_F(Queue, adopted_by_name_is_the_same_queue) {
  const ByteQueue other = ByteQueue::create();
  ASSERT_EQ(put(other, make_message(5, 6, 70)), Put::sent);
  EXPECT_EQ(test::try_get(ByteQueue::adopt(other.id())).value().sender, 5u);
}

TEST_F(Queue, the_child_of_a_fork_leaves_a_message_of_its_parent_alone) {
  ASSERT_EQ(put(queue_, make_message(1, 1, 100'000)), Put::sent);
  auto message = std::make_unique<ByteMessage>();
  ASSERT_EQ(get(queue_, *message), Got::received);
  test::Child child = test::fork_child([&] {
    FORKFUL_MUST(read_message(message->bytes()));
    message.reset();
  });
  EXPECT_EQ(child.wait(), 0);
  arena::check_heap();
  const arena::Offset other = arena::allocate_run(100'000);
  std::memset(arena::at(other, 100'000), 1, 100'000);
  EXPECT_TRUE(read_message(message->bytes()));
  arena::free_run(other);
  message.reset();
}

}  // namespace
}  // namespace forkful::bytes
