// What an executor does beside a pool, and futures that are awaited together.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <forkful/forkful.hpp>
#include <optional>
#include <ranges>
#include <set>
#include <thread>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Executors : public AllContexts {
 protected:
  [[nodiscard]] ExecutorOptions options(int max_workers = 2) const {
    return {.max_workers = max_workers, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(Executors);

int square(int x) { return x * x; }
void wait_for(Event& event) { event.wait(); }

TEST_P(Executors, submit_gives_a_future) {
  ProcessPoolExecutor executor(options());
  Future<int> nine = executor.submit(square, 3);
  EXPECT_EQ(nine.get(), 9);
  EXPECT_EQ(executor.max_workers(), 2);
  EXPECT_THROW(executor
                   .submit({.timeout = 20ms},
                           [] {
                             for (;;) ::pause();
                           })
                   .get(),
               TimeoutError);
}

TEST_P(Executors, map_keeps_the_order_and_outlives_the_executor) {
  std::optional<ExecutorResults<int>> results;
  {
    ProcessPoolExecutor executor(options());
    results.emplace(executor.map(square, std::views::iota(0, 100), {.chunk_size = 7}));
  }
  int expected = 0;
  for (const int result : *results) {
    EXPECT_EQ(result, expected * expected);
    ++expected;
  }
  EXPECT_EQ(expected, 100);
}

TEST_P(Executors, map_submits_all_at_once) {
  ProcessPoolExecutor executor(options());
  Value<int> ran(0);
  auto results = executor.map(bind([](Value<int>& count, int) { return ++*count.lock(); }, ran),
                              std::views::iota(0, 200));
  EXPECT_TRUE(eventually([&] { return ran.load() == 200; }));
}

TEST_P(Executors, map_outcomes_survive_failures_and_deaths) {
  ProcessPoolExecutor executor(options());
  auto results = executor.map(
      [](int x) {
        if (x == 1) throw std::out_of_range("one");
        if (x == 2) ::_exit(9);
        return x;
      },
      std::views::iota(0, 20));
  std::vector<int> failed;
  int index = 0;
  for (auto& outcome : results.outcomes()) {
    if (!outcome.ok()) failed.push_back(index);
    ++index;
  }
  EXPECT_EQ(failed, (std::vector{1, 2}));
  EXPECT_EQ(index, 20);
}

TEST_P(Executors, a_death_costs_its_call_only) {
  ProcessPoolExecutor executor(options());
  std::vector<Future<int>> futures;
  for (int i = 0; i < 30; ++i) {
    futures.push_back(executor.submit(
        [](int x) {
          if (x % 10 == 4) ::kill(::getpid(), SIGKILL);
          return x;
        },
        i));
  }
  int dead = 0;
  for (auto& done : as_completed(futures)) {
    try {
      (void)done.get();
    } catch (const WorkerDied& died) {
      EXPECT_NE(std::string(died.what()).find("PoolWorker-"), std::string::npos) << died.what();
      ++dead;
    }
  }
  EXPECT_EQ(dead, 3);
}

TEST_P(Executors, the_destructor_waits_for_all) {
  Value<int> ran(0);
  {
    ProcessPoolExecutor executor(options());
    for (int i = 0; i < 50; ++i) {
      (void)executor.submit([](Value<int>& count) { ++*count.lock(); }, ran);
    }
  }
  EXPECT_EQ(ran.load(), 50);
}

TEST_P(Executors, shutdown_without_waiting_finishes_behind) {
  ProcessPoolExecutor executor(options());
  Event release;
  Value<int> ran(0);
  for (int i = 0; i < 10; ++i) {
    (void)executor.submit(
        [](Event& until, Value<int>& count) {
          until.wait();
          ++*count.lock();
        },
        release, ran);
  }
  auto dying = executor.submit([] { ::_exit(1); });
  executor.shutdown({.wait = false});
  EXPECT_THROW((void)executor.submit(square, 1), Error);
  release.set();
  EXPECT_TRUE(eventually([&] { return ran.load() == 10; }));
  EXPECT_TRUE(eventually([&] { return executor.worker_pids().empty(); }));
  EXPECT_THROW(dying.get(), WorkerDied);
}

TEST_P(Executors, shutdown_can_cancel_what_has_not_begun) {
  ProcessPoolExecutor executor(options(1));
  Event begun;
  Event release;
  auto running = executor.submit(
      [](Event& at, Event& until) {
        at.set();
        until.wait();
        return 1;
      },
      begun, release);
  begun.wait();
  std::vector<Future<int>> waiting;
  for (int i = 0; i < 200; ++i) waiting.push_back(executor.submit(square, i));
  auto mapped = executor.map(square, std::views::iota(0, 50), {.chunk_size = 8});
  executor.shutdown({.wait = false, .cancel_futures = true});
  for (auto& each : waiting) EXPECT_THROW(each.get(), Cancelled);
  for (auto& each : mapped.outcomes()) EXPECT_THROW(each.value(), Cancelled);
  release.set();
  EXPECT_EQ(running.get(), 1);
}

TEST_P(Executors, workers_have_their_initializer_and_their_share_of_tasks) {
  Semaphore started(0);
  ExecutorOptions with = options(1);
  with.initializer = bind([](Semaphore& each) { each.release(); }, started);
  with.max_tasks_per_child = 2;
  ProcessPoolExecutor executor(std::move(with));
  std::set<int> pids;
  for (int i = 0; i < 6; ++i) pids.insert(executor.submit([] { return ::getpid(); }).get());
  EXPECT_EQ(pids.size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(started.try_acquire());
}

TEST_P(Executors, callbacks_run_before_the_destructor_is_over) {
  std::atomic<int> sum{0};
  {
    ProcessPoolExecutor executor(options());
    for (int i = 0; i < 10; ++i) executor.submit(square, i).then([&](int x) { sum += x; });
  }
  EXPECT_EQ(sum, 285);
}

class Awaited : public Executors {};
FORKFUL_OVER_ALL_CONTEXTS(Awaited);

TEST_P(Awaited, as_completed_follows_the_order_of_completion) {
  ProcessPoolExecutor executor(options());
  std::vector<Event> gates(2);
  std::vector<Future<int>> futures;
  for (int i = 0; i < 2; ++i) {
    futures.push_back(executor.submit(
        [](Event& until, int x) {
          until.wait();
          return x;
        },
        gates[static_cast<std::size_t>(i)], i));
  }
  gates[1].set();
  std::vector<int> order;
  for (Future<int>& done : as_completed(futures)) {
    order.push_back(done.get());
    gates[0].set();
  }
  EXPECT_EQ(order, (std::vector{1, 0}));
}

TEST_P(Awaited, as_completed_has_a_time_out_and_takes_what_is_done) {
  ProcessPoolExecutor executor(options());
  Event release;
  std::vector<Future<void>> futures;
  futures.push_back(executor.submit([] {}));
  futures.push_back(executor.submit(wait_for, release));
  futures[0].wait();
  int done = 0;
  const auto walk = [&] {
    for (auto& each : as_completed(futures, 50ms)) {
      each.get();
      ++done;
    }
  };
  EXPECT_THROW(walk(), TimeoutError);
  EXPECT_EQ(done, 1);
  release.set();
  std::vector<Future<void>> none;
  for (auto& each : as_completed(none)) each.get();
  EXPECT_THROW((void)as_completed(futures), Error);  // the first has handed out its result
}

TEST_P(Awaited, futures_of_several_pools_can_be_awaited_together) {
  Pool pool({.processes = 1, .context = GetParam()});
  ProcessPoolExecutor executor(options(1));
  std::vector<Future<int>> futures;
  for (int i = 0; i < 20; ++i) {
    futures.push_back(pool.apply_async(square, i));
    futures.push_back(executor.submit(square, i));
  }
  int sum = 0;
  for (auto& done : as_completed(futures)) sum += done.get();
  EXPECT_EQ(sum, 2 * 2470);
}

TEST_P(Awaited, wait_returns_when_it_is_told_to) {
  ProcessPoolExecutor executor(options());
  Event release;
  std::vector<Future<void>> futures;
  futures.push_back(executor.submit(wait_for, release));
  futures.push_back(executor.submit([] { throw std::runtime_error("as planned"); }));
  futures.push_back(executor.submit([] {}));
  const auto some = wait(futures, {.return_when = ReturnWhen::first_completed});
  EXPECT_GE(some.done.size(), 1u);
  EXPECT_EQ(some.done.size() + some.not_done.size(), 3u);
  const auto failed = wait(futures, {.return_when = ReturnWhen::first_exception});
  EXPECT_NE(std::find(failed.done.begin(), failed.done.end(), 1u), failed.done.end());
  const auto in_time = wait(futures, {.timeout = 50ms});
  EXPECT_EQ(in_time.done, (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(in_time.not_done, std::vector<std::size_t>{0});
  release.set();
  EXPECT_EQ(wait(futures).done.size(), 3u);
}

TEST_P(Awaited, a_std_future_hands_on_a_value_an_error_or_the_end_of_the_pool) {
  std::future<void> cancelled;
  Event never;
  {
    Pool pool({.processes = 2, .context = GetParam()});
    std::future<int> nine = to_std_future(pool.apply_async(square, 3));
    ASSERT_EQ(nine.wait_for(10s), std::future_status::ready);
    EXPECT_EQ(nine.get(), 9);
    auto failing = to_std_future(pool.apply_async([] { throw std::range_error("far"); }));
    EXPECT_THROW(failing.get(), std::range_error);
    cancelled = to_std_future(pool.apply_async(wait_for, never));
  }
  EXPECT_THROW(cancelled.get(), Cancelled);
}

}  // namespace
}  // namespace forkful::test
