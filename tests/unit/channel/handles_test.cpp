// A message holds what it names, from put() until its reader is done with it, whoever dies when.
#include <gtest/gtest.h>

#include <algorithm>
#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/queue.hpp>
#include <forkful/errors.hpp>
#include <functional>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"
#include "support/stepper.hpp"

namespace forkful::bytes {
namespace {

using Put = ByteQueue::Put;
using Got = ByteQueue::Got;

constexpr std::size_t kLarge = 1 << 20;

// A message that is the names of `shares`, and `padding` bytes.
Put put(const ByteQueue& queue, const std::vector<Shared>& shares, std::size_t padding = 0,
        Deadline until = Deadline::never()) {
  std::vector<Shared::Id> names;
  for (const Shared& each : shares) names.push_back(each.id());
  const std::vector<std::byte> rest(padding);
  const Bytes parts[] = {std::as_bytes(std::span(names)), rest};
  Wait wait(until);
  return queue.put(parts, wait, shares);
}

Got get(const ByteQueue& queue, ByteMessage& into) {
  return test::get(queue, into, Deadline::poll());
}

Shared::Id name_in(const ByteMessage& message, std::size_t index = 0) {
  Shared::Id name{};
  std::memcpy(&name, message.bytes().data() + index * sizeof name, sizeof name);
  return name;
}

class Handles : public testing::Test {
 protected:
  Handles() {
    arena::join_family();
    // What grows once and stays: this member's list of holdings, runs of small blocks.
    std::vector<Shared> some;
    for (int i = 0; i < 300; ++i) {
      some.push_back(Cell::create(8));
      some.push_back(Cell::create(64 + i * 6));
      some.push_back(ByteQueue::create());
    }
    {
      const ByteQueue queue = ByteQueue::create();
      EXPECT_EQ(put(queue, some), Put::sent);
      EXPECT_EQ(put(queue, {some[0]}), Put::sent);
    }
    some.clear();
    used_ = arena::heap_use().used_bytes;
  }
  ~Handles() override {
    arena::check_heap();
    EXPECT_EQ(arena::heap_use().used_bytes, used_);
  }
  [[nodiscard]] bool large_is_alive() const {
    return arena::heap_use().used_bytes >= used_ + kLarge;
  }
  std::uint64_t used_ = 0;
};

TEST_F(Handles, in_a_message_live_until_its_reader_is_done) {
  const ByteQueue queue = ByteQueue::create();
  Cell cell = Cell::create(kLarge);
  ASSERT_EQ(put(queue, {cell}), Put::sent);
  cell = Cell();
  EXPECT_TRUE(large_is_alive()) << "the message holds it";
  ByteMessage message;
  ASSERT_EQ(get(queue, message), Got::received);
  cell = Cell::adopt(name_in(message));
  message.reset();
  EXPECT_EQ(cell.memory().size(), kLarge);
  EXPECT_TRUE(large_is_alive()) << "its reader holds it";
  cell = Cell();
  EXPECT_FALSE(large_is_alive());
}

TEST_F(Handles, of_one_object_may_come_twice_and_be_adopted_twice) {
  const ByteQueue queue = ByteQueue::create();
  Cell cell = Cell::create(kLarge);
  ASSERT_EQ(put(queue, {cell, cell}), Put::sent);
  ASSERT_EQ(put(queue, {cell}), Put::sent);
  cell = Cell();
  ByteMessage message;
  ASSERT_EQ(get(queue, message), Got::received);
  const Cell one = Cell::adopt(name_in(message, 0));
  const Cell two = Cell::adopt(name_in(message, 1));
  ASSERT_EQ(get(queue, message), Got::received);
  const Cell three = Cell::adopt(name_in(message));
  EXPECT_EQ(one, two);
  EXPECT_EQ(one, three);
}

TEST_F(Handles, that_nobody_adopts_go_with_their_message) {
  const ByteQueue queue = ByteQueue::create();
  ASSERT_EQ(put(queue, {Cell::create(kLarge)}), Put::sent);
  ASSERT_EQ(put(queue, {Cell::create(kLarge)}), Put::sent);
  ByteMessage message;
  ASSERT_EQ(get(queue, message), Got::received);
  const auto name = name_in(message);
  message.reset();
  EXPECT_THROW((void)Cell::adopt(name), Error);
  EXPECT_TRUE(large_is_alive()) << "the second message holds its own";
}  // and that one goes with its queue

TEST_F(Handles, in_a_large_message_leave_its_bytes_as_they_are) {
  const ByteQueue queue = ByteQueue::create();
  // The sizes at which the entry after the bytes needs a page more.
  for (const std::size_t size : {4095, 4096, 4097, 8184, 8185, 8192, 3 << 20}) {
    const auto whole = test::make_message(1, 2, size);
    const Bytes part(whole);
    const Cell cell = Cell::create(10);
    Wait forever;
    ASSERT_EQ(queue.put({&part, 1}, forever, std::array<Shared, 1>{cell}), Put::sent);
    ByteMessage message;
    ASSERT_EQ(get(queue, message), Got::received);
    ASSERT_EQ(message.bytes().size(), size);
    EXPECT_TRUE(test::read_message(message.bytes())) << size;
  }
}

TEST_F(Handles, by_thousands_travel_in_one_message) {
  constexpr int kMany = 5000;
  const auto round = [] {
    std::vector<Shared> shares;
    for (int i = 0; i < kMany; ++i) shares.push_back(Cell::create(10));
    const ByteQueue queue = ByteQueue::create();
    ASSERT_EQ(put(queue, shares), Put::sent);
    shares.clear();
    ByteMessage message;
    ASSERT_EQ(get(queue, message), Got::received);
    for (int i = 0; i < kMany; i += 7) (void)Cell::adopt(name_in(message, i));
  };
  round();
  used_ = arena::heap_use().used_bytes;  // runs of small blocks stay
  for (int i = 0; i < 3; ++i) round();
}

TEST_F(Handles, of_a_message_that_was_not_sent_are_given_back) {
  const ByteQueue queue = ByteQueue::create(1);
  ASSERT_EQ(put(queue, {Cell::create(10)}), Put::sent);
  EXPECT_EQ(put(queue, {Cell::create(kLarge)}, 0, Deadline::poll()), Put::timed_out);
  EXPECT_FALSE(large_is_alive());
  queue.shut_down();
  EXPECT_EQ(put(queue, {Cell::create(kLarge)}), Put::shut_down);
  EXPECT_FALSE(large_is_alive());
}

TEST_F(Handles, of_a_queue_in_its_own_messages_do_not_keep_it) {
  const ByteQueue queue = ByteQueue::create();
  ASSERT_EQ(put(queue, {queue}), Put::sent);
  ASSERT_EQ(put(queue, {queue, Cell::create(kLarge)}), Put::sent);
  ByteMessage message;
  ASSERT_EQ(get(queue, message), Got::received);
  EXPECT_EQ(ByteQueue::adopt(name_in(message)), queue);
}

TEST_F(Handles, of_queues_within_queues_are_given_back_to_the_last) {
  ByteQueue outer = ByteQueue::create();
  ASSERT_EQ(put(outer, {Cell::create(kLarge)}), Put::sent);
  for (int i = 0; i < 200; ++i) {
    const ByteQueue next = ByteQueue::create();
    ASSERT_EQ(put(next, {outer}), Put::sent);
    outer = next;
  }
  EXPECT_TRUE(large_is_alive());
  outer = ByteQueue();
  EXPECT_FALSE(large_is_alive());
}

TEST_F(Handles, of_another_family_are_refused_by_name) {
  const Cell cell = Cell::create(10);
  auto alien = cell.id();
  alien.family ^= 1;
  try {
    (void)ByteQueue::adopt(alien);
    FAIL() << "adopted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("this Queue belongs to another family"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(Handles, that_are_empty_cannot_be_named) {
  EXPECT_THROW((void)Cell().id(), Error);
  EXPECT_THROW(Cell().pin(), Error);
}

TEST_F(Handles, sent_by_one_that_is_killed_reach_the_reader) {
  const ByteQueue queue = ByteQueue::create();
  test::Child child = test::fork_child([&] {
    (void)put(queue, {Cell::create(kLarge)});
    test::die();
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
  ByteMessage message;
  ASSERT_EQ(get(queue, message), Got::received);
  EXPECT_EQ(Cell::adopt(name_in(message)).memory().size(), kLarge);
}

TEST_F(Handles, of_one_killed_while_it_loads_them_are_given_back) {
  for (const int pass : {1, 2, 3}) {  // forty take three commits
    std::vector<Shared> shares{Cell::create(kLarge)};
    while (shares.size() < 40) shares.push_back(Cell::create(64));
    const ByteQueue queue = ByteQueue::create();
    test::Child child = test::fork_child([&] {
      test::die_at("cargo.loading", pass);
      (void)put(queue, shares);
      test::must(false, "passed the fault point");
    });
    EXPECT_EQ(child.wait(), -SIGKILL);
    EXPECT_EQ(queue.size(), 0u);
    shares.clear();
    EXPECT_FALSE(large_is_alive()) << pass;
    arena::check_heap();
  }
}

TEST_F(Handles, inherited_by_a_fork_in_a_half_read_message_stay_the_parents) {
  const ByteQueue queue = ByteQueue::create();
  ASSERT_EQ(put(queue, {Cell::create(kLarge)}), Put::sent);
  ByteMessage message;
  ASSERT_EQ(get(queue, message), Got::received);
  test::Child child = test::fork_child([&] {
    // The child's copy of the message owns nothing, and what it adopts it holds itself.
    const Cell cell = Cell::adopt(name_in(message));
    message.reset();
    FORKFUL_MUST(cell.memory().size() == kLarge);
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(Cell::adopt(name_in(message)).memory().size(), kLarge);
}

// Each drops what it received and sends what it adopts, all of the same few objects.
TEST_F(Handles, passed_around_between_threads_and_members_are_never_gone) {
  const ByteQueue queue = ByteQueue::create();
  constexpr int kObjects = 6;
  constexpr int kTurns = 400;
  for (int i = 0; i < kObjects; ++i) ASSERT_EQ(put(queue, {Cell::create(64)}), Put::sent);
  const auto pass_on = [&] {
    for (int i = 0; i < kTurns; ++i) {
      ByteMessage message;
      Wait forever;
      if (queue.get(message, forever) != Got::received) std::abort();
      const Cell cell = Cell::adopt(name_in(message));
      message.reset();
      if (put(queue, {cell}) != Put::sent) std::abort();
    }
  };
  test::Child child = test::fork_child(pass_on);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(pass_on);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(queue.size(), std::uint32_t{kObjects});
}

// --- killed at any instruction ---

class HandlesOfOneKilledAtAnyInstruction : public Handles {
 protected:
  void SetUp() override {
    if (test::kThreadSanitizer) GTEST_SKIP() << "it steps through the sanitizer";
  }
  // `prepare` is run ahead of each victim; what it leaves in queue_ goes afterwards.
  void kill_everywhere(const std::function<void()>& prepare, const std::function<void()>& victim) {
    prepare();
    test::at_many_instructions(200, victim, [&](long steps) {
      prepare();
      test::step_and_kill(steps, victim);
      queue_ = ByteQueue();
      cells_.clear();
      arena::check_heap();
      ASSERT_EQ(arena::heap_use().used_bytes, used_);
    });
    queue_ = ByteQueue();
    cells_.clear();
  }
  void send(int count) {
    queue_ = ByteQueue::create();
    cells_.clear();
    for (int i = 0; i < count; ++i) cells_.push_back(Cell::create(i == 0 ? 5000 : 64));
  }
  ByteQueue queue_;
  std::vector<Shared> cells_;
};

TEST_F(HandlesOfOneKilledAtAnyInstruction, of_sending_one) {
  kill_everywhere([&] { send(1); }, [&] { (void)put(queue_, cells_); });
}

TEST_F(HandlesOfOneKilledAtAnyInstruction, of_sending_many) {
  kill_everywhere([&] { send(40); }, [&] { (void)put(queue_, cells_); });
}

TEST_F(HandlesOfOneKilledAtAnyInstruction, of_receiving_adopting_and_dropping) {
  kill_everywhere(
      [&] {
        send(3);
        ASSERT_EQ(put(queue_, cells_), Put::sent);
        cells_.clear();
      },
      [&] {
        ByteMessage message;
        (void)get(queue_, message);
        const Cell first = Cell::adopt(name_in(message, 0));
        Cell third = Cell::adopt(name_in(message, 2));
        message.reset();
        third = Cell();
      });
}

TEST_F(HandlesOfOneKilledAtAnyInstruction, of_dropping_a_message_unread) {
  kill_everywhere(
      [&] {
        send(2);
        ASSERT_EQ(put(queue_, cells_), Put::sent);
        cells_.clear();
      },
      [&] {
        ByteMessage message;
        (void)get(queue_, message);
      });
}

TEST_F(HandlesOfOneKilledAtAnyInstruction, of_taking_a_queue_of_them_apart) {
  ByteQueue inner;
  kill_everywhere(
      [&] {
        send(2);
        inner = ByteQueue::create();
        ASSERT_EQ(put(inner, cells_), Put::sent);
        ASSERT_EQ(put(queue_, {inner}), Put::sent);
        inner = ByteQueue();
        cells_.clear();
      },
      // The child has the last message, and with it the last share of the inner queue.
      [&] {
        ByteMessage message;
        (void)get(queue_, message);
        message.reset();
      });
}

}  // namespace
}  // namespace forkful::bytes
