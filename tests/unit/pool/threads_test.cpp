// A pool whose workers are threads, so that ThreadSanitizer sees both sides of every race.
#include <gtest/gtest.h>

#include "support/child.hpp"
#include "support/simulated.hpp"
#include "unit/pool/items.hpp"

namespace forkful::test {
namespace {

TEST(PoolThreads, every_item_of_every_task_comes_back_once) {
  constexpr std::uint32_t kWorkers = 3;
  const TaskPool pool = TaskPool::create(kWorkers);
  std::vector<std::thread> workers;
  SimulatedFamily family;
  const ActAs client(1);
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    workers.push_back(member_thread(i + 2, [&pool, i] { work(pool, i); }));
  }
  std::uint32_t submitted = 0;
  for (std::uint32_t count = 1; submitted < 4000; count = count % 40 + 1) {
    submit_numbers(pool, 1, submitted, count);
    submitted += count;
  }
  Squares squares;
  while (squares.size() < submitted) ASSERT_TRUE(read_results(pool, squares));
  pool.close();
  for (auto& worker : workers) worker.join();
}

TEST(PoolThreads, close_lets_workers_finish_what_is_queued) {
  const TaskPool pool = TaskPool::create(2);
  SimulatedFamily family;
  const ActAs client(1);
  for (std::uint32_t i = 0; i < 100; ++i) submit_numbers(pool, 1, i, 1);
  pool.close();
  std::thread first = member_thread(2, [&pool] { work(pool, 0); });
  std::thread second = member_thread(3, [&pool] { work(pool, 1); });
  first.join();
  second.join();
  Squares squares;
  EXPECT_TRUE(read_results(pool, squares));
  EXPECT_EQ(squares.size(), 100u);
}

TEST(PoolThreads, stop_leaves_queued_tasks_alone) {
  const TaskPool pool = TaskPool::create(1);
  SimulatedFamily family;
  const ActAs client(1);
  submit_numbers(pool, 1, 0, 1);
  pool.stop();
  member_thread(2, [&pool] { work(pool, 0); }).join();
  EXPECT_EQ(pool.waiting_tasks(), 1u);
}

TEST(PoolThreads, a_sleeping_worker_is_woken_by_a_task) {
  const TaskPool pool = TaskPool::create(1);
  SimulatedFamily family;
  const ActAs client(1);
  std::thread worker = member_thread(2, [&pool] { work(pool, 0); });
  for (std::uint32_t i = 0; i < 20; ++i) {
    FORKFUL_AWAIT(family.asleep == 1);
    submit_numbers(pool, 1, i, 1);
    Wait forever;
    bytes::ByteMessage message;
    ASSERT_EQ(pool.next_result(message, forever), bytes::ByteQueue::Got::received);
  }
  pool.close();
  worker.join();
}

}  // namespace
}  // namespace forkful::test
