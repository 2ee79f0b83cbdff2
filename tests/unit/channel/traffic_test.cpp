// Many senders and receivers, as threads (for ThreadSanitizer) and as processes.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "kernel/fault.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"

namespace forkful::bytes {
namespace {

using Put = ByteQueue::Put;
using Got = ByteQueue::Got;

constexpr std::uint32_t kMostSenders = 8;
constexpr std::uint32_t kStop = 0xffff;

struct Shape {
  std::uint32_t senders;
  std::uint32_t receivers;
  std::uint32_t bound;
  std::size_t size;  // 0: of all kinds
  std::uint32_t rounds;
};

std::size_t size_of(const Shape& shape, std::uint32_t number) {
  if (shape.size != 0) return shape.size;
  constexpr std::array<std::size_t, 7> kSizes{16, 24, 200, 4096, 4097, 20'000, 60};
  return kSizes[number % kSizes.size()];
}

struct Tally {
  std::atomic<std::uint32_t> received[kMostSenders];
  std::atomic<std::uint64_t> numbers[kMostSenders];  // their sum
  std::atomic<std::uint32_t> oversize;
};

void send_all(const ByteQueue& queue, const Shape& shape, std::uint32_t sender) {
  for (std::uint32_t i = 0; i < shape.rounds; ++i) {
    test::must(test::put(queue, test::make_message(sender, i, size_of(shape, i))) == Put::sent,
               "sent");
  }
}

// Until a message says stop. Each receiver sees each sender's messages in their order.
void receive_all(const ByteQueue& queue, const Shape& shape, Tally& tally) {
  std::array<std::int64_t, kMostSenders> last;
  last.fill(-1);
  for (;;) {
    ByteMessage message;
    test::must(test::get(queue, message) == Got::received, "received");
    if (shape.bound != 0 && queue.size() > shape.bound) ++tally.oversize;
    const auto stamp = test::read_message(message.bytes());
    test::must(stamp.has_value(), "the message is whole");
    if (stamp->sender == kStop) return;
    test::must(last[stamp->sender] < static_cast<std::int64_t>(stamp->number), "in order");
    last[stamp->sender] = stamp->number;
    tally.received[stamp->sender] += 1;
    tally.numbers[stamp->sender] += stamp->number;
  }
}

class Traffic : public testing::TestWithParam<Shape> {
 protected:
  void stop_receivers() const {
    for (std::uint32_t i = 0; i < GetParam().receivers; ++i) {
      ASSERT_EQ(test::put(queue_, test::make_message(kStop, i, 16)), Put::sent);
    }
  }
  void expect_all() const {
    const Shape& shape = GetParam();
    for (std::uint32_t sender = 0; sender < shape.senders; ++sender) {
      EXPECT_EQ(tally_.received[sender], shape.rounds);
      EXPECT_EQ(tally_.numbers[sender], std::uint64_t{shape.rounds} * (shape.rounds - 1) / 2);
    }
    EXPECT_EQ(queue_.size(), 0u);
    EXPECT_EQ(tally_.oversize, 0u) << "size() told more than the bound";
    arena::check_heap();
  }
  Tally& tally_ = test::shared<Tally>();
  ByteQueue queue_ = ByteQueue::create(GetParam().bound);
};

TEST_P(Traffic, between_threads_loses_and_doubles_nothing) {
  const Shape& shape = GetParam();
  std::vector<std::thread> senders;
  std::vector<std::thread> receivers;
  for (std::uint32_t i = 0; i < shape.receivers; ++i) {
    receivers.emplace_back([&] { receive_all(queue_, shape, tally_); });
  }
  for (std::uint32_t i = 0; i < shape.senders; ++i) {
    senders.emplace_back([&, i] { send_all(queue_, shape, i); });
  }
  for (std::thread& thread : senders) thread.join();
  stop_receivers();
  for (std::thread& thread : receivers) thread.join();
  expect_all();
}

TEST_P(Traffic, between_processes_loses_and_doubles_nothing) {
  const Shape& shape = GetParam();
  std::vector<test::Child> senders;
  std::vector<test::Child> receivers;
  for (std::uint32_t i = 0; i < shape.receivers; ++i) {
    receivers.push_back(test::fork_child([&] { receive_all(queue_, shape, tally_); }));
  }
  for (std::uint32_t i = 0; i < shape.senders; ++i) {
    senders.push_back(test::fork_child([&] { send_all(queue_, shape, i); }));
  }
  for (test::Child& child : senders) EXPECT_EQ(child.wait(), 0);
  stop_receivers();
  for (test::Child& child : receivers) EXPECT_EQ(child.wait(), 0);
  expect_all();
}

INSTANTIATE_TEST_SUITE_P(Shapes, Traffic,
                         testing::Values(Shape{1, 1, 0, 16, 20'000}, Shape{4, 1, 0, 40, 4'000},
                                         Shape{1, 4, 0, 40, 8'000}, Shape{4, 4, 0, 0, 1'500},
                                         Shape{1, 1, 1, 24, 2'000}, Shape{3, 3, 2, 0, 800},
                                         Shape{2, 2, 16, 5'000, 1'500},
                                         Shape{1, 1, 100, 64, 20'000}, Shape{4, 2, 10, 64, 3'000},
                                         Shape{1, 3, 5, 64, 3'000}),
                         [](const auto& each) {
                           const Shape& s = each.param;
                           return std::to_string(s.senders) + "to" + std::to_string(s.receivers) +
                                  "_bound" + std::to_string(s.bound) + "_" +
                                  (s.size != 0 ? std::to_string(s.size) + "bytes" : "mixed");
                         });

TEST(TrafficOfOne, may_begin_while_a_receiver_looks) {
  // The very first message brings the ring's first segment along.
  ByteQueue queue = ByteQueue::create();
  const auto send = [](void* to) {
    ASSERT_EQ(test::put(*static_cast<ByteQueue*>(to), test::make_message(0, 7, 32)), Put::sent);
  };
  kernel::arm_fault("queue.get.looked", send, &queue);
  const auto got = test::try_get(queue);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->number, 7u);
}

TEST(TrafficOfOne, may_be_passed_back_and_forth) {
  const ByteQueue there = ByteQueue::create();
  const ByteQueue back = ByteQueue::create();
  constexpr std::uint32_t kRounds = 2000;
  test::Child child = test::fork_child([&] {
    for (std::uint32_t i = 0; i < kRounds; ++i) {
      ByteMessage message;
      FORKFUL_MUST(test::get(there, message) == Got::received);
      FORKFUL_MUST(test::put(back, message.bytes()) == Put::sent);
    }
  });
  for (std::uint32_t i = 0; i < kRounds; ++i) {
    ASSERT_EQ(test::put(there, test::make_message(0, i, i % 50 == 0 ? 10'000 : 32)), Put::sent);
    ByteMessage message;
    ASSERT_EQ(test::get(back, message), Got::received);
    ASSERT_EQ(test::read_message(message.bytes()).value().number, i);
  }
  EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace forkful::bytes
