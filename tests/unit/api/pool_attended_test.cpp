// A pool with unfinished work is attended whether anybody waits or not; calls of a pool from within
// a call of it are answered; its end is held up by nothing; what a death says.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <forkful/bytes/family.hpp>
#include <forkful/forkful.hpp>
#include <string>
#include <thread>
#include <vector>

#include "unit/api/contexts.hpp"

namespace forkful::test {

std::atomic<Pool*> g_pool{nullptr};
std::atomic<int> g_asked{0};

// Its reader calls the pool that it comes from.
struct Asking {
  int number = 0;
};

}  // namespace forkful::test

template <>
struct forkful::codec<forkful::test::Asking> {
  static void write(Writer& to, const test::Asking& asking) { to.raw(asking.number); }
  static test::Asking read(Reader& from) {
    const int number = from.raw<int>();
    Pool* const pool = test::g_pool.load();
    if (pool != nullptr) {
      test::g_asked += pool->apply([](int x) { return x; }, 1);
    }
    return {number};
  }
};

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class PoolsAttended : public AllContexts {
 protected:
  [[nodiscard]] PoolOptions options(int processes = 2, std::uint32_t most_tasks = 0) const {
    return {.processes = processes, .max_tasks_per_child = most_tasks, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(PoolsAttended);

int same(int x) { return x; }
void tell(Queue<int> queue, int x) { queue.put(x); }
void die_at_three(Queue<int> queue, int x) {
  if (x == 3) ::_exit(9);
  queue.put(x);
}
std::string give_much(int) { return std::string(2000, 'x'); }
Asking give_asking(int x) { return {x}; }

int received(Queue<int>& queue, int most) {
  int count = 0;
  while (count < most && queue.get_for(10s)) ++count;
  return count;
}

TEST_P(PoolsAttended, workers_are_replaced_while_nobody_waits) {
  Pool pool(options(2, 5));
  Queue<int> queue;
  std::vector<Future<void>> futures;
  for (int i = 0; i < 40; ++i) futures.push_back(pool.apply_async(tell, queue, i));
  EXPECT_EQ(received(queue, 40), 40);
}

TEST_P(PoolsAttended, the_dead_are_replaced_while_nobody_waits) {
  Pool pool(options(1));
  Queue<int> queue;
  std::vector<Future<void>> futures;
  for (int i = 0; i < 20; ++i) futures.push_back(pool.apply_async(die_at_three, queue, i));
  EXPECT_EQ(received(queue, 19), 19);
}

TEST_P(PoolsAttended, results_that_nobody_fetches_cost_nothing_that_grows) {
  Pool pool(options());
  std::uint64_t most = 0;
  for (int turn = 0; turn < 20; ++turn) {
    for (int i = 0; i < 500; ++i) (void)pool.apply_async(give_much, i);
    (void)pool.map_async(same, std::vector{1, 2, 3}).get();
    if (turn < 5) most = std::max(most, bytes::heap_use().bytes_used);
  }
  EXPECT_TRUE(eventually([&] { return bytes::heap_use().bytes_used < most + (1u << 20); }));
}

TEST_P(PoolsAttended, a_result_that_was_there_stays_readable_after_terminate) {
  Pool pool(options(1));
  Queue<int> queue;
  auto first = pool.apply_async(same, 5);
  auto second = pool.apply_async(tell, queue, 1);
  EXPECT_EQ(received(queue, 1), 1);
  pool.terminate();
  EXPECT_EQ(first.get(), 5);
}

TEST_P(PoolsAttended, a_value_may_use_the_pool_while_it_is_read) {
  Pool pool(options());
  g_pool = &pool;
  g_asked = 0;
  EXPECT_EQ(pool.apply(give_asking, 3).number, 3);
  EXPECT_EQ(pool.map(give_asking, std::views::iota(0, 50), {.chunk_size = 1}).size(), 50u);
  EXPECT_EQ(pool.map(give_asking, std::views::iota(0, 50)).size(), 50u);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      EXPECT_EQ(pool.map(give_asking, std::views::iota(0, 20), {.chunk_size = 2}).size(), 20u);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(g_asked, 161);
  g_pool = nullptr;
}

TEST_P(PoolsAttended, an_idle_worker_that_is_killed_costs_nothing) {
  Pool pool(options());
  Value<int> busy(0);
  Event go;
  auto results = pool.map_async(bind(
                                    [](Value<int> pid, Event leave, int item) {
                                      if (item == 0) {
                                        pid.store(::getpid());
                                        leave.wait();
                                      }
                                      return item;
                                    },
                                    busy, go),
                                std::vector{0, 1, 2, 3, 4}, {.chunk_size = 2});
  // The other one has done the rest when its own results are all that is missing.
  ASSERT_TRUE(eventually([&] { return busy.load() != 0; }));
  Pool other(options(1));
  EXPECT_EQ(other.apply(same, 1), 1);  // Why: a while, in which it goes to sleep
  for (const int pid : pool.worker_pids()) {
    if (pid != busy.load()) ::kill(pid, SIGKILL);
  }
  go.set();
  try {
    EXPECT_EQ(results.get(), (std::vector{0, 1, 2, 3, 4}));
  } catch (const WorkerDied& died) {
    EXPECT_GT(died.item(), 1u) << "it may have been at work still, but not at these";
  }
}

TEST_P(PoolsAttended, a_death_says_which_item_it_cost) {
  Pool pool(options());
  try {
    pool.map(
        [](int item) {
          if (item == 7) ::kill(::getpid(), SIGKILL);
          return item;
        },
        std::views::iota(0, 20), {.chunk_size = 5});
    FAIL();
  } catch (const WorkerDied& died) {
    EXPECT_EQ(died.item(), 7u);
    EXPECT_NE(std::string(died.what()).find("killed by signal 9"), std::string::npos);
  }
}

TEST_P(PoolsAttended, terminate_ends_workers_that_do_not_hear) {
  Pool pool(options());
  const auto deafen = [](int item) {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    return item;
  };
  EXPECT_EQ(pool.map(deafen, std::views::iota(0, 10), {.chunk_size = 1}).size(), 10u);
  std::vector<Future<void>> busy;
  for (int i = 0; i < 2; ++i) busy.push_back(pool.apply_async([] { ::pause(); }));
  const auto pids = pool.worker_pids();
  const auto begin = std::chrono::steady_clock::now();
  pool.terminate();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  EXPECT_TRUE(pool.worker_pids().empty());
  for (const int pid : pids) EXPECT_NE(::kill(pid, 0), 0);
  for (auto& each : busy) EXPECT_THROW(each.get(), Cancelled);
}

TEST_P(PoolsAttended, terminate_ends_workers_that_are_stopped_at_work) {
  Pool pool(options(3));
  auto results = pool.map_async(give_much, std::views::iota(0, 100'000), {.chunk_size = 1});
  for (const int pid : pool.worker_pids()) ::kill(pid, SIGSTOP);
  const auto begin = std::chrono::steady_clock::now();
  pool.terminate();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  EXPECT_THROW(results.get(), Cancelled);
}

}  // namespace
}  // namespace forkful::test
