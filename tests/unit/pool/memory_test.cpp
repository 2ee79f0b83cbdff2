// Where memory is short, or was written over: no item and no block is lost.
#include <gtest/gtest.h>

#include <cerrno>
#include <forkful/errors.hpp>
#include <vector>

#include "arena/heap.hpp"
#include "arena/shares.hpp"
#include "kernel/fault.hpp"
#include "pool/words.hpp"
#include "support/child.hpp"
#include "unit/pool/items.hpp"

namespace forkful::test {
namespace {

// The next push of this thread finds no memory, and those after it do.
void refuse_one_push() {
  const auto refuse = [](void*) { throw OsError(ENOSPC, "growth", "the arena"); };
  kernel::arm_fault("pool.pushing", refuse, nullptr);
}

void expect_all_squares(const TaskPool& pool, std::uint32_t items, Squares squares = {}) {
  pool.close();
  Child survivor = fork_child([&] { work(pool, 1); });
  EXPECT_EQ(survivor.wait(), 0);
  EXPECT_TRUE(read_results(pool, squares));
  EXPECT_EQ(squares.size(), items);
}

TEST(PoolMemory, a_task_that_cannot_be_queued_leaves_nothing_behind) {
  const TaskPool pool = TaskPool::create(2);
  submit_numbers(pool, 1, 0, 3);
  const std::uint64_t before = arena::heap_use().used_bytes;
  refuse_one_push();
  EXPECT_THROW(submit_numbers(pool, 1, 3, 3), OsError);
  EXPECT_EQ(arena::heap_use().used_bytes, before);
  expect_all_squares(pool, 3);
}

TEST(PoolMemory, has_no_more_workers_than_it_has_room_for_whatever_it_says) {
  const TaskPool first = TaskPool::create(4);
  const std::uint64_t before = arena::heap_use().used_bytes;
  {
    // Beside one another, so that what lies after the second one is known.
    std::vector<TaskPool> pools;
    for (int i = 0; i < 3; ++i) pools.push_back(TaskPool::create(4));
    for (const TaskPool& each : pools) {
      const auto words = each.id().offset + arena::Held::body_at<pool::PoolWords>();
      arena::at<pool::PoolWords>(words).most_workers = 1u << 30;
      EXPECT_EQ(each.most_workers(), 4u);
    }
  }
  EXPECT_EQ(arena::heap_use().used_bytes, before);
  arena::check_heap();
}

TEST(PoolMemory, the_rest_of_a_dead_workers_chunk_waits_until_it_can_be_queued) {
  const TaskPool pool = TaskPool::create(2);
  submit_numbers(pool, 1, 0, 6);
  Child worker = fork_child([&] {
    die_at("pool.item.begun", 3);
    work(pool, 0);
  });
  EXPECT_EQ(worker.wait(), -SIGKILL);
  pool.finish_commits();
  TaskPool::Lost lost;
  refuse_one_push();
  EXPECT_THROW(pool.recover(0, lost), OsError);
  pool.recover(0, lost);
  EXPECT_TRUE(lost.claimed && lost.running);
  EXPECT_EQ(lost.done, 2u);
  Squares squares;
  EXPECT_TRUE(read_frames(lost.results.bytes(), squares));
  lost.results.reset();
  expect_all_squares(pool, 5, squares);
}

TEST(PoolMemory, results_that_cannot_be_sent_are_kept_until_they_can) {
  const TaskPool pool = TaskPool::create(2);
  submit_numbers(pool, 1, 0, 1);
  submit_numbers(pool, 1, 1, 4);
  {
    TaskPool::Worker worker(pool, 0);
    for (int task = 0; task < 2; ++task) {
      Wait poll(Deadline::poll());
      ASSERT_EQ(worker.next(poll), bytes::ByteQueue::Got::received);
      square_all(worker, [](std::uint64_t) { refuse_one_push(); });
    }
  }
  Squares squares;
  EXPECT_TRUE(read_results(pool, squares));
  EXPECT_EQ(squares.size(), 5u);
}

TEST(PoolMemory, a_damaged_task_is_told_and_not_met_again) {
  const TaskPool pool = TaskPool::create(2);
  pool.submit({1, 0, 2, 2, 0, 0}, {});  // begins after its end
  submit_numbers(pool, 1, 0, 1);
  TaskPool::Worker worker(pool, 0);
  Wait poll(Deadline::poll());
  ASSERT_EQ(worker.next(poll), bytes::ByteQueue::Got::received);
  EXPECT_EQ(worker.task().count, 1u);
  bytes::ByteMessage message;
  ASSERT_EQ(pool.next_result(message, poll), bytes::ByteQueue::Got::received);
  EXPECT_EQ(bytes::ResultReader(message.bytes()).head().kind, bytes::ResultKind::damaged);
}

TEST(PoolMemory, a_damaged_claim_does_not_crash_its_reader) {
  const TaskPool pool = TaskPool::create(2);
  submit_numbers(pool, 1, 0, 3);
  Child worker = fork_child([&] {
    die_at("pool.item.begun", 2);
    work(pool, 0);
  });
  EXPECT_EQ(worker.wait(), -SIGKILL);
  const std::uint64_t slots = pool.id().offset + arena::Held::body_at<pool::PoolWords>() +
                              base::round_up(sizeof(pool::PoolWords), alignof(pool::WorkerSlot));
  auto& claim = arena::at<pool::WorkerSlot>(slots).claim;
  ASSERT_EQ(claim.job, 1u);
  claim.payload += 8;
  claim.results = 1ull << 62;
  TaskPool::Lost lost;
  pool.finish_commits();
  pool.recover(0, lost);
  EXPECT_TRUE(lost.claimed);
}

}  // namespace
}  // namespace forkful::test
