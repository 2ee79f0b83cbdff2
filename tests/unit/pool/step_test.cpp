// A member killed at any instruction between a task's claim and its result, and of the recovery
// after that.
//
//   FORKFUL_STEPS=100000 tests more kill points than CI does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/stepper.hpp"
#include "unit/pool/items.hpp"

namespace forkful::test {
namespace {

constexpr std::uint32_t kItems = 3;

class PoolKilledAtAnyInstruction : public testing::Test {
 protected:
  void SetUp() override {
    if (kThreadSanitizer) GTEST_SKIP() << "it steps through the sanitizer";
    {
      const TaskPool first = TaskPool::create(2);
    }
    used_ = arena::heap_use().used_bytes;
  }
  void expect_nothing_left() const {
    arena::check_heap();
    EXPECT_EQ(arena::heap_use().used_bytes, used_);
  }

 private:
  std::uint64_t used_ = 0;
};

// Results that travel in blocks of their own: each item's result is its number, many times.
constexpr std::size_t kWords = 1000;

std::vector<std::uint64_t> large_result(std::uint64_t number) {
  return std::vector(kWords, number);
}

void work_largely(const TaskPool& pool) {
  TaskPool::Worker worker(pool, 0);
  Wait poll(Deadline::poll());
  while (worker.next(poll) == bytes::ByteQueue::Got::received) {
    const TaskHead task = worker.task();
    for (std::uint32_t i = task.start; i < task.count; ++i) {
      const auto& result = large_result(task.first + i);
      worker.begin_item();
      const Bytes part = std::as_bytes(std::span(result));
      worker.commit_item(0, std::span(&part, 1));
    }
  }
}

// The numbers whose results are in a message, each whole and not there before.
void read_largely(Bytes message, std::vector<bool>& seen) {
  for (bytes::ResultReader reader(message); reader.next();) {
    const auto& expected = large_result(reader.index());
    ASSERT_EQ(reader.payload().size(), kWords * sizeof(std::uint64_t));
    ASSERT_EQ(std::memcmp(reader.payload().data(), expected.data(), reader.payload().size()), 0);
    ASSERT_FALSE(seen[reader.index()]) << "a result counts once";
    seen[reader.index()] = true;
  }
}

TEST_F(PoolKilledAtAnyInstruction, a_result_in_a_block_is_there_once_or_its_item_is_lost) {
  TaskPool pool;
  (void)large_result(0);
  const auto victim = [&] { work_largely(pool); };
  const auto begin = [&] {
    pool = TaskPool::create(2);
    submit_numbers(pool, 1, 0, 1);
    submit_numbers(pool, 1, 1, kItems - 1);
  };
  begin();
  at_many_instructions(120, victim, [&](long steps) {
    begin();
    std::vector<bool> seen(kItems);
    step_and_kill(steps, victim);
    const auto read_all = [&] {
      for (bytes::ByteMessage message;;) {
        Wait poll(Deadline::poll());
        if (pool.next_result(message, poll) != bytes::ByteQueue::Got::received) return;
        read_largely(message.bytes(), seen);
      }
    };
    std::uint32_t lost = 0;
    pool.finish_commits();
    read_all();
    {
      TaskPool::Lost left;
      pool.recover(0, left);
      if (left.claimed && left.done > 0) read_largely(left.results.bytes(), seen);
      const std::uint32_t item = left.task.first + left.task.start + left.done;
      if (left.claimed && left.running && !seen[item]) ++lost;
    }
    work_largely(pool);
    read_all();
    EXPECT_LE(lost, 1u);
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true) + lost, kItems);
    pool = TaskPool();
    expect_nothing_left();
  });
}

// The pool ends with its client. What it shared with others stays whole, and nothing is kept.
TEST_F(PoolKilledAtAnyInstruction, a_client_that_recovers_leaves_a_whole_heap) {
  TaskPool pool;
  const auto begin = [&] {
    pool = TaskPool::create(2);
    submit_numbers(pool, 1, 0, kItems);
    submit_numbers(pool, 1, kItems, 1);
    Child worker = fork_child([&] {
      die_at("pool.item.begun", 2);
      work(pool, 0);
    });
    ASSERT_EQ(worker.wait(), -SIGKILL);
  };
  const auto client = [&] {
    TaskPool::Lost left;
    pool.finish_commits();
    pool.recover(0, left);
    FORKFUL_MUST(left.claimed && left.done == 1 && left.running);
  };
  begin();
  at_many_instructions(100, client, [&](long steps) {
    begin();
    step_and_kill(steps, client);
    // Whoever looks next finds the claim, or the task in the queue again; never both.
    Squares squares;
    {
      TaskPool::Lost left;
      pool.finish_commits();
      pool.recover(0, left);
      if (left.claimed && left.done > 0) {
        ASSERT_TRUE(read_frames(left.results.bytes(), squares));
      }
    }
    pool.close();
    work(pool, 1);
    ASSERT_TRUE(read_results(pool, squares)) << "an item ran twice";
    EXPECT_TRUE(squares.contains(2)) << "the rest of the chunk was dropped";
    EXPECT_TRUE(squares.contains(kItems));
    EXPECT_FALSE(squares.contains(1));
    pool = TaskPool();
    expect_nothing_left();
  });
}

}  // namespace
}  // namespace forkful::test
