// What tasks and results name lives while they are on their way, whoever is killed.
#include <gtest/gtest.h>

#include <forkful/bytes/cell.hpp>
#include <vector>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/stepper.hpp"
#include "unit/pool/items.hpp"

namespace forkful::test {
namespace {

using bytes::Cell;
using bytes::Shared;

constexpr std::size_t kPadding = 900;  // so that a chunk's block of results grows

// A task whose items are cells, each with its number in it.
void submit_cells(const TaskPool& pool, std::uint64_t job, std::uint32_t count) {
  std::vector<Shared> cells;
  std::vector<Shared::Id> names;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Cell cell = Cell::create(i == 0 ? 5000 : 64);
    std::memcpy(cell.memory().data(), &i, sizeof i);
    names.push_back(cell.id());
    cells.push_back(cell);
  }
  const Bytes part = std::as_bytes(std::span(names));
  pool.submit({job, 0, count, 0, 0, 0}, std::span(&part, 1), cells);
}

std::uint32_t number_in(const Cell& cell) {
  std::uint32_t number = 0;
  std::memcpy(&number, cell.memory().data(), sizeof number);
  return number;
}

Cell cell_at(Bytes bytes, std::size_t index) {
  Shared::Id name{};
  std::memcpy(&name, bytes.data() + index * sizeof name, sizeof name);
  return Cell::adopt(name);
}

// The result of each item is a cell of its own, with the same number.
void answer_with_cells(TaskPool::Worker& worker) {
  const TaskHead task = worker.task();
  for (std::uint32_t i = task.start; i < task.count; ++i) {
    worker.begin_item();
    const std::uint32_t number = number_in(cell_at(worker.payload(), i));
    const Cell made = Cell::create(64);
    std::memcpy(made.memory().data(), &number, sizeof number);
    const Shared::Id name = made.id();
    const std::vector<std::byte> padding(kPadding);
    const Bytes parts[] = {as_part(name), padding};
    const std::array<Shared, 1> shares{made};
    worker.commit_item(0, parts, shares);
  }
}

void work_with_cells(const TaskPool& pool, std::uint32_t index) {
  TaskPool::Worker worker(pool, index);
  Wait forever;
  while (worker.next(forever) == bytes::ByteQueue::Got::received) answer_with_cells(worker);
}

std::uint32_t count_frames(Bytes message) {
  std::uint32_t count = 0;
  for (bytes::ResultReader reader(message); reader.next(); ++count) {
    EXPECT_EQ(number_in(cell_at(reader.payload(), 0)), reader.index());
  }
  return count;
}

std::uint32_t count_results(const TaskPool& pool) {
  std::uint32_t count = 0;
  bytes::ByteMessage message;
  for (;;) {
    Wait poll(Deadline::poll());
    if (pool.next_result(message, poll) != bytes::ByteQueue::Got::received) return count;
    count += count_frames(message.bytes());
  }
}

class TasksWithHandles : public testing::Test {
 protected:
  TasksWithHandles() {
    arena::join_family();
    // What grows once and stays: runs of small blocks, lists of holdings.
    for (int turn = 0; turn < 2; ++turn) {
      const TaskPool pool = TaskPool::create(2);
      submit_cells(pool, 1, 60);
      pool.close();
      Child worker = fork_child([&] { work_with_cells(pool, 0); });
      EXPECT_EQ(worker.wait(), 0);
      EXPECT_EQ(count_results(pool), 60u);
    }
    used_ = arena::heap_use().used_bytes;
  }
  ~TasksWithHandles() override {
    arena::check_heap();
    EXPECT_EQ(arena::heap_use().used_bytes, used_);
  }
  std::uint64_t used_ = 0;
};

TEST_F(TasksWithHandles, that_nobody_runs_go_with_their_pool) {
  const TaskPool pool = TaskPool::create(2);
  submit_cells(pool, 1, 1);
  submit_cells(pool, 2, 20);
  submit_cells(pool, 3, 20);
  TaskHead taken{};
  EXPECT_TRUE(pool.take_back(taken));
  EXPECT_TRUE(pool.take_back(taken));
}

TEST_F(TasksWithHandles, whose_results_nobody_reads_go_with_their_pool) {
  const TaskPool pool = TaskPool::create(2);
  submit_cells(pool, 1, 1);
  submit_cells(pool, 2, 20);
  pool.close();
  Child worker = fork_child([&] { work_with_cells(pool, 0); });
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(TasksWithHandles, of_a_worker_killed_at_any_instruction_lose_one_item_at_most) {
  if (kThreadSanitizer) GTEST_SKIP() << "stepping through its runtime takes too long";
  TaskPool pool;
  const auto prepare = [&] {
    pool = TaskPool::create(2);
    submit_cells(pool, 1, 1);
    submit_cells(pool, 2, 5);
  };
  const auto two_tasks = [&] {
    TaskPool::Worker worker(pool, 0);
    Wait forever;
    for (int i = 0; i < 2; ++i) {
      FORKFUL_MUST(worker.next(forever) == bytes::ByteQueue::Got::received);
      answer_with_cells(worker);
    }
  };
  prepare();
  at_many_instructions(150, two_tasks, [&](long steps) {
    prepare();
    step_and_kill(steps, two_tasks);
    pool.finish_commits();
    std::uint32_t found = count_results(pool);
    std::uint32_t lost = 0;
    {
      TaskPool::Lost what;
      pool.recover(0, what);
      if (what.claimed && what.done > 0) found += count_frames(what.results.bytes());
      if (what.claimed && what.running) lost = 1;
    }
    pool.close();
    Child survivor = fork_child([&] { work_with_cells(pool, 1); });
    ASSERT_EQ(survivor.wait(), 0);
    found += count_results(pool);
    ASSERT_EQ(found + lost, 6u) << "killed behind step " << steps;
    pool = TaskPool();
    arena::check_heap();
    ASSERT_EQ(arena::heap_use().used_bytes, used_) << "killed behind step " << steps;
  });
  pool = TaskPool();
}

}  // namespace
}  // namespace forkful::test
