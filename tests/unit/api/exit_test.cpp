// The end of a program with tasks pending: no hang, nobody left behind, its own exit code.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <forkful/forkful.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "kernel/process_info.hpp"
#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

class ExitDeathTest : public AllContexts {
 protected:
  // What the program that ends tells the test: the pids of its workers.
  [[nodiscard]] std::string path() const {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = test->name();
    for (char& c : name) c = c == '/' ? '-' : c;
    return testing::TempDir() + "forkful-" + name;
  }
  void tell_workers(const std::vector<int>& pids) const {
    std::ofstream file(path());
    for (const int pid : pids) file << pid << '\n';
  }
  void expect_workers_gone() const {
    std::ifstream file(path());
    int count = 0;
    for (int pid = 0; file >> pid; ++count) {
      EXPECT_TRUE(eventually([&] { return !kernel::process_runs(pid, 0); })) << pid;
    }
    EXPECT_GT(count, 0);
    ::unlink(path().c_str());
  }
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};
FORKFUL_OVER_ALL_CONTEXTS(ExitDeathTest);

// Tasks that run, tasks that wait, and callbacks of both.
void ask_much(Pool& pool) {
  static const Event never;
  static const Event begun;
  for (int i = 0; i < 20; ++i) {
    pool.apply_async(
            [](const Event& at, const Event& until) {
              at.set();
              until.wait();
            },
            begun, never)
        .then([] {})
        .on_error([](const std::exception&) {});
  }
  begun.wait();
}

TEST_P(ExitDeathTest, of_a_pool_that_is_destroyed_in_order) {
  EXPECT_EXIT(
      {
        {
          Pool pool({.processes = 2, .context = GetParam()});
          ask_much(pool);
          tell_workers(pool.worker_pids());
        }
        std::exit(3);
      },
      testing::ExitedWithCode(3), "20 unfinished calls");
  expect_workers_gone();
}

TEST_P(ExitDeathTest, of_a_pool_that_is_destroyed_behind_main) {
  EXPECT_EXIT(
      {
        static Pool pool({.processes = 2, .context = GetParam()});
        ask_much(pool);
        tell_workers(pool.worker_pids());
        std::exit(4);
      },
      testing::ExitedWithCode(4), "20 unfinished calls");
  expect_workers_gone();
}

TEST_P(ExitDeathTest, of_a_pool_that_is_never_destroyed) {
  EXPECT_EXIT(
      {
        static auto* pool = new Pool({.processes = 2, .context = GetParam()});
        ask_much(*pool);
        tell_workers(pool->worker_pids());
        std::exit(5);
      },
      testing::ExitedWithCode(5), "");
  expect_workers_gone();
}

TEST_P(ExitDeathTest, of_an_executor_waits_for_what_it_was_given) {
  EXPECT_EXIT(
      {
        int sum = 0;
        {
          ProcessPoolExecutor executor({.max_workers = 2, .context = GetParam()});
          tell_workers(executor.worker_pids());
          for (int i = 0; i < 10; ++i) {
            executor.submit([](int x) { return x; }, i).then([&](int x) { sum += x; });
          }
        }
        std::exit(sum);
      },
      testing::ExitedWithCode(45), "");
  expect_workers_gone();
}

}  // namespace
}  // namespace forkful::test
