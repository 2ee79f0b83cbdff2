// A worker killed at any line loses the item it was running, and nothing else.
#include <gtest/gtest.h>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/stepper.hpp"
#include "unit/pool/items.hpp"

namespace forkful::test {
namespace {

constexpr std::uint32_t kItems = 60;

struct Outcome {
  Squares squares;
  std::uint32_t lost = 0;
};

// After worker 0 has ended: what is lost, with the rest done by a survivor.
Outcome finish_with_a_survivor(const TaskPool& pool) {
  Outcome outcome;
  pool.finish_commits();
  EXPECT_TRUE(read_results(pool, outcome.squares));
  {
    TaskPool::Lost lost;
    pool.recover(0, lost);
    if (lost.claimed && lost.done > 0) {
      EXPECT_TRUE(read_frames(lost.results.bytes(), outcome.squares));
    }
    const std::uint32_t item = lost.task.first + lost.task.start + lost.done;
    if (lost.claimed && lost.running) {
      EXPECT_FALSE(outcome.squares.contains(item)) << "the claim outlived the item's result";
      ++outcome.lost;
    }
  }
  pool.close();
  Child survivor = fork_child([&] { work(pool, 1); });
  EXPECT_EQ(survivor.wait(), 0);
  EXPECT_TRUE(read_results(pool, outcome.squares));
  return outcome;
}

void expect_one_lost_at_most(const Outcome& outcome) {
  EXPECT_LE(outcome.lost, 1u);
  EXPECT_EQ(outcome.squares.size() + outcome.lost, kItems);
}

struct Point {
  kernel::FaultPoint point;
  int pass;
  std::uint32_t chunk;
};

class WorkerKilled : public testing::TestWithParam<Point> {};

TEST_P(WorkerKilled, loses_one_item_at_most_and_leaves_no_memory_behind) {
  const Point point = GetParam();
  {
    const TaskPool warm_up = TaskPool::create(2);
  }
  const std::uint64_t before = arena::heap_use().used_bytes;
  {
    const TaskPool pool = TaskPool::create(2);
    for (std::uint32_t i = 0; i < kItems; i += point.chunk) {
      submit_numbers(pool, 1, i, point.chunk);
    }
    Child worker = fork_child([&] {
      die_at(point.point, point.pass);
      work(pool, 0);
    });
    EXPECT_EQ(worker.wait_without_reaping(), -SIGKILL);
    arena::process_ended(worker.member());
    expect_one_lost_at_most(finish_with_a_survivor(pool));
  }
  EXPECT_EQ(arena::heap_use().used_bytes, before);
  arena::check_heap();
}

std::vector<Point> points() {
  std::vector<Point> all;
  for (const std::uint32_t chunk : {1u, 6u}) {
    for (const kernel::FaultPoint name :
         FaultPoints{"pool.pushing", "pool.claimed", "pool.item.begun", "pool.item.committed",
                     "queue.put.reserved", "queue.put.committed"}) {
      for (const int pass : {1, 2, 7}) {
        // A chunk's results go out as one block, which reserves nothing in the ring's memory.
        if (chunk > 1 && name == "queue.put.reserved") continue;
        all.push_back({name, pass, chunk});
      }
    }
    for (const kernel::FaultPoint name :
         FaultPoints{"journal.staged", "journal.committed", "journal.applying"}) {
      // A chunk of six commits three times: claimed, results begun, handed in.
      for (int pass = 1; pass <= 28; pass += 3) all.push_back({name, pass, chunk});
    }
  }
  return all;
}

std::string name_of(const testing::TestParamInfo<Point>& test) {
  std::string name = std::string(test.param.point.name()) + "_pass_" +
                     std::to_string(test.param.pass) + "_chunk_" + std::to_string(test.param.chunk);
  for (char& c : name) {
    if (c == '.') c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Points, WorkerKilled, testing::ValuesIn(points()), name_of);

TEST(SteppedWorker, killed_at_many_instructions_loses_one_item_at_most) {
  if (kThreadSanitizer) GTEST_SKIP() << "stepping through its runtime takes too long";
  struct Run {
    TaskPool pool = TaskPool::create(2);
    Run() {
      submit_numbers(pool, 1, 0, 1);
      submit_numbers(pool, 1, 1, 3);
    }
  };
  Run* run = nullptr;
  const auto two_tasks = [&] {
    TaskPool::Worker worker(run->pool, 0);
    Wait forever;
    for (int i = 0; i < 2; ++i) {
      FORKFUL_MUST(worker.next(forever) == bytes::ByteQueue::Got::received);
      square_all(worker, [](std::uint64_t) {});
    }
  };
  Run measured;
  run = &measured;
  at_many_instructions(150, two_tasks, [&](long steps) {
    Run fresh;
    run = &fresh;
    step_and_kill(steps, two_tasks);
    const Outcome outcome = finish_with_a_survivor(fresh.pool);
    EXPECT_LE(outcome.lost, 1u);
    EXPECT_EQ(outcome.squares.size() + outcome.lost, 4u) << "killed behind step " << steps;
  });
  arena::check_heap();
}

TEST(IdleWorker, killed_loses_nothing) {
  const TaskPool pool = TaskPool::create(2);
  submit_numbers(pool, 1, 0, 1);
  Child worker = fork_child([&] { work(pool, 0); });
  Squares squares;
  while (squares.empty()) ASSERT_TRUE(read_results(pool, squares));
  worker.await_asleep();
  worker.kill();
  TaskPool::Lost lost;
  pool.finish_commits();
  pool.recover(0, lost);
  EXPECT_FALSE(lost.claimed) << "the claim ended with its result";
  for (std::uint32_t i = 1; i < kItems; ++i) submit_numbers(pool, 1, i, 1);
  pool.close();
  Child survivor = fork_child([&] { work(pool, 1); });
  EXPECT_EQ(survivor.wait(), 0);
  EXPECT_TRUE(read_results(pool, squares));
  EXPECT_EQ(squares.size(), kItems);
}

}  // namespace
}  // namespace forkful::test
