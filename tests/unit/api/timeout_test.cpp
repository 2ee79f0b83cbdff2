// Calls that may take only so long.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <forkful/forkful.hpp>
#include <stdexcept>
#include <thread>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class TaskTimeouts : public AllContexts {
 protected:
  [[nodiscard]] PoolOptions options(int processes = 2) const {
    return {.processes = processes, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(TaskTimeouts);

int square(int x) { return x * x; }
void go_on_for_ever() {
  for (;;) ::pause();
}

TEST_P(TaskTimeouts, a_late_task_has_timeout_error_and_its_worker_is_replaced) {
  Pool pool(options(1));
  const int before = pool.apply([] { return ::getpid(); });
  auto late = pool.apply_async({.timeout = 20ms}, go_on_for_ever);
  EXPECT_THROW(late.get(), TimeoutError);
  EXPECT_NE(pool.apply([] { return ::getpid(); }), before);
}

TEST_P(TaskTimeouts, below_zero_are_refused_and_nothing_runs) {
  Pool pool(options(1));
  const Event ran;
  const auto run = [](Event& at) { at.set(); };
  EXPECT_THROW((void)pool.apply_async({.timeout = -1s}, run, ran), std::invalid_argument);
  EXPECT_THROW((void)pool.apply_async({.timeout = std::chrono::hours::min()}, run, ran),
               std::invalid_argument);
  EXPECT_THROW(
      (void)pool.apply_async({.timeout = std::chrono::duration<double>(std::nan(""))}, run, ran),
      std::invalid_argument);
  ProcessPoolExecutor executor({.max_workers = 1, .context = GetParam()});
  EXPECT_THROW((void)executor.submit({.timeout = -1ns}, run, ran), std::invalid_argument);
  EXPECT_EQ(pool.apply(square, 2), 4);
  EXPECT_EQ(executor.submit(square, 3).get(), 9);
  EXPECT_FALSE(ran.is_set());
}

TEST_P(TaskTimeouts, hold_though_nobody_waits_and_though_all_signals_are_ignored) {
  Pool pool(options(1));
  Event begun;
  auto late = pool.apply_async(
      {.timeout = 20ms},
      [](Event& at) {
        for (int signal = 1; signal < 32; ++signal) ::signal(signal, SIG_IGN);
        at.set();
        for (;;) ::pause();
      },
      begun);
  begun.wait();
  const int pid = pool.worker_pids().at(0);
  EXPECT_TRUE(eventually([&] {
    const auto pids = pool.worker_pids();
    return std::find(pids.begin(), pids.end(), pid) == pids.end();
  }));
  EXPECT_THROW(late.get(), TimeoutError);
}

TEST_P(TaskTimeouts, count_from_the_begin_of_the_task) {
  Pool pool(options(1));
  Event release;
  auto first = pool.apply_async([](Event& until) { until.wait(); }, release);
  auto second = pool.apply_async({.timeout = 500ms}, square, 3);
  EXPECT_FALSE(first.wait_for(600ms));
  release.set();
  EXPECT_EQ(second.get(), 9);
}

TEST_P(TaskTimeouts, a_task_in_time_is_not_touched) {
  Pool pool(options(1));
  const int before = pool.apply([] { return ::getpid(); });
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(pool.apply_async({.timeout = 10s}, square, i).get(), i * i);
  }
  EXPECT_EQ(pool.apply([] { return ::getpid(); }), before);
}

// A kill that is decided while the task ends must not hit the next one.
TEST_P(TaskTimeouts, never_cost_another_task) {
  Pool pool(options(2));
  Value<int> runs(0);
  std::vector<Future<int>> timed;
  std::vector<Future<void>> others;
  for (int i = 0; i < 60; ++i) {
    timed.push_back(pool.apply_async(
        {.timeout = 5ms},
        [](int us) {
          const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(us);
          while (std::chrono::steady_clock::now() < end) {
          }
          return us;
        },
        5000 + i * 100));
    for (int k = 0; k < 3; ++k) {
      others.push_back(pool.apply_async([](Value<int>& count) { ++*count.lock(); }, runs));
    }
  }
  int late = 0;
  for (auto& each : timed) {
    try {
      (void)each.get();
    } catch (const TimeoutError&) {
      ++late;
    }
  }
  for (auto& each : others) each.get();
  EXPECT_EQ(runs.load(), 180);
  RecordProperty("late", late);
}

TEST_P(TaskTimeouts, a_worker_that_dies_first_is_told_as_dead) {
  Pool pool(options(1));
  EXPECT_THROW(pool.apply_async({.timeout = 10s}, [] { ::_exit(3); }).get(), WorkerDied);
  EXPECT_EQ(pool.apply(square, 2), 4);
}

TEST_P(TaskTimeouts, have_callbacks) {
  Pool pool(options(1));
  std::string said;
  pool.apply_async({.timeout = 20ms}, go_on_for_ever)
      .on_error([&](const std::exception& error) { said = error.what(); })
      .then([] {})
      .get();
  EXPECT_NE(said.find("20 ms"), std::string::npos) << said;
}

TEST_P(TaskTimeouts, a_stopped_worker_is_killed_in_time) {
  Pool pool(options(1));
  auto late = pool.apply_async({.timeout = 20ms}, [] { ::kill(::getpid(), SIGSTOP); });
  EXPECT_THROW(late.get(), TimeoutError);
  EXPECT_EQ(pool.apply(square, 2), 4);
}

}  // namespace
}  // namespace forkful::test
