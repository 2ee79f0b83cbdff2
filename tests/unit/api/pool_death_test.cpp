// What a pool does when its workers die.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <forkful/forkful.hpp>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/child.hpp"
#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

class PoolDeaths : public AllContexts {
 protected:
  [[nodiscard]] PoolOptions options(int processes = 2) const {
    return {.processes = processes, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(PoolDeaths);

int same(int x) { return x; }

TEST_P(PoolDeaths, a_worker_killed_in_its_task_costs_that_task) {
  Pool pool(options());
  try {
    pool.apply([] { ::kill(::getpid(), SIGKILL); });
    FAIL();
  } catch (const WorkerDied& died) {
    EXPECT_EQ(died.signal(), SIGKILL);
    EXPECT_EQ(died.exit_code(), -1);
    EXPECT_GT(died.pid(), 0);
  }
  EXPECT_EQ(pool.apply(same, 1), 1);
}

TEST_P(PoolDeaths, exit_in_a_task_is_told_with_its_code) {
  Pool pool(options());
  try {
    pool.apply([] { ::_exit(7); });
    FAIL();
  } catch (const WorkerDied& died) {
    EXPECT_EQ(died.signal(), 0);
    EXPECT_EQ(died.exit_code(), 7);
  }
  EXPECT_THROW(pool.apply([] { ::exit(0); }), WorkerDied);
  EXPECT_EQ(pool.apply(same, 1), 1);
}

int leave_in_child(int x) {
  const int child = ::fork();
  if (child == 0) {
    if (x % 2 != 0) throw std::out_of_range("in the child");
    return -1;
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? x * 10 + WEXITSTATUS(status) : -2;
}

TEST_P(PoolDeaths, a_child_that_a_task_forks_hands_in_nothing) {
  Pool pool(options());
  EXPECT_EQ(pool.apply(leave_in_child, 2), 20);
  EXPECT_EQ(pool.apply(leave_in_child, 3), 31);
  EXPECT_EQ(pool.map(leave_in_child, std::vector{1, 2, 3, 4, 5, 6}),
            (std::vector{11, 20, 31, 40, 51, 60}));
  EXPECT_EQ(pool.apply(same, 1), 1);
}

// Each item but the lost one runs once, whatever the chunks.
TEST_P(PoolDeaths, the_rest_of_a_chunk_runs_elsewhere_and_nothing_twice) {
  Pool pool(options());
  constexpr int kItems = 40;
  Queue<int> ran;
  const auto run = [](Queue<int>& log, int item) {
    log.put(item);
    if (item == 17) ::kill(::getpid(), SIGKILL);
    return item;
  };
  EXPECT_THROW(pool.map(bind(run, ran), std::views::iota(0, kItems), {.chunk_size = 20}),
               WorkerDied);
  std::vector<int> items;
  while (const auto item = ran.try_get()) items.push_back(*item);
  std::sort(items.begin(), items.end());
  ASSERT_EQ(items.size(), static_cast<std::size_t>(kItems));
  for (int i = 0; i < kItems; ++i) EXPECT_EQ(items[static_cast<std::size_t>(i)], i);
}

TEST_P(PoolDeaths, the_other_futures_have_their_results) {
  Pool pool(options());
  std::vector<Future<int>> futures;
  for (int i = 0; i < 30; ++i) {
    futures.push_back(pool.apply_async(
        [](int item) {
          if (item % 10 == 3) ::kill(::getpid(), SIGKILL);
          return item;
        },
        i));
  }
  for (int i = 0; i < 30; ++i) {
    auto& future = futures[static_cast<std::size_t>(i)];
    if (i % 10 == 3) {
      EXPECT_THROW(future.get(), WorkerDied);
    } else {
      EXPECT_EQ(future.get(), i);
    }
  }
}

TEST_P(PoolDeaths, workers_killed_idle_are_replaced) {
  Pool pool(options());
  EXPECT_EQ(pool.apply(same, 1), 1);
  for (int round = 0; round < 3; ++round) {
    const auto before = pool.worker_pids();
    for (const int pid : before) ::kill(pid, SIGKILL);
    EXPECT_EQ(pool.map(same, std::vector{1, 2, 3}), (std::vector{1, 2, 3}));
    EXPECT_TRUE(eventually([&] {
      (void)pool.apply(same, 1);
      const auto now = pool.worker_pids();
      return now.size() == 2 &&
             std::find_first_of(now.begin(), now.end(), before.begin(), before.end()) == now.end();
    }));
  }
}

TEST_P(PoolDeaths, a_closed_pool_survives_a_death_too) {
  Pool pool(options(1));
  Event go;
  std::vector<Future<int>> futures;
  futures.push_back(pool.apply_async(
      [](Event& until) {
        until.wait();
        ::_exit(3);
        return 0;
      },
      go));
  for (int i = 0; i < 5; ++i) futures.push_back(pool.apply_async(same, i));
  pool.close();
  go.set();
  pool.join();
  EXPECT_THROW(futures[0].get(), WorkerDied);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(futures[static_cast<std::size_t>(i) + 1].get(), i);
}

TEST_P(PoolDeaths, a_stopped_worker_does_not_keep_the_pool_from_ending) {
  Pool pool(options(1));
  EXPECT_EQ(pool.apply(same, 1), 1);
  ::kill(pool.worker_pids().at(0), SIGSTOP);
}

TEST_P(PoolDeaths, workers_that_cannot_start_break_the_pool_with_the_reason) {
  PoolOptions with = options();
  with.initializer = [] { throw std::runtime_error("as planned"); };
  Pool pool(with);
  EXPECT_THROW(pool.apply(same, 1), WorkerDied);
  EXPECT_THROW(pool.apply(same, 1), WorkerDied);
}

// Why its workers do not begin, as the pool's calls say it. `said` has what they said on stderr.
std::string why_broken(PoolOptions with, std::FILE* said) {
  const auto stderr_before = ::dup(STDERR_FILENO);
  ::dup2(::fileno(said), STDERR_FILENO);
  std::string why;
  try {
    Pool(std::move(with)).apply(same, 1);
  } catch (const WorkerDied& died) {
    why = died.what();
  }
  ::dup2(stderr_before, STDERR_FILENO);
  ::close(stderr_before);
  return why;
}

std::string text_of(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int each = std::fgetc(file); each != EOF; each = std::fgetc(file)) {
    text.push_back(static_cast<char>(each));
  }
  return text;
}

TEST_P(PoolDeaths, what_an_initializer_throws_is_said_once_however_many_workers_it_ends) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> said(std::tmpfile(), std::fclose);
  // In a child of its own: a fork server has the stderr it was started with.
  Child program = fork_child([&] {
    PoolOptions with = options();
    with.initializer = [] { throw std::runtime_error("no licence"); };
    const std::string why = why_broken(with, said.get());
    FORKFUL_MUST(why.ends_with("the pool's initializer throws; the first exception is on stderr"));
  });
  EXPECT_EQ(program.wait(), 0);
  const std::string text = text_of(said.get());
  const auto first = text.find("no licence");
  EXPECT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find("no licence", first + 1), std::string::npos) << text;
  EXPECT_EQ(text.find("ended by an exception"), text.rfind("ended by an exception")) << text;
}

TEST_P(PoolDeaths, an_initializer_that_exits_is_not_said_to_throw) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> said(std::tmpfile(), std::fclose);
  PoolOptions with = options();
  with.initializer = [] { ::_exit(3); };
  const std::string why = why_broken(with, said.get());
  EXPECT_NE(why.find("with exit code 3: the pool's initializer does not"), std::string::npos)
      << why;
}

bool g_ends_what_is_forked = false;

TEST(PoolDeath, workers_that_die_without_an_initializer_are_not_said_to_have_one) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> said(std::tmpfile(), std::fclose);
  Child program = fork_child([&] {
    ::pthread_atfork(nullptr, nullptr, [] {
      if (g_ends_what_is_forked) ::_exit(5);
    });
    g_ends_what_is_forked = true;
    const std::string why = why_broken({.processes = 1, .context = Context::fork}, said.get());
    FORKFUL_MUST(why.find("exit code 5: none came to its first task") != std::string::npos);
    FORKFUL_MUST(why.find("there is no initializer") != std::string::npos);
  });
  EXPECT_EQ(program.wait(), 0) << text_of(said.get());
}

TEST_P(PoolDeaths, a_second_cause_is_said_after_an_initializer_has_succeeded) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> said(std::tmpfile(), std::fclose);
  Child program = fork_child([&] {
    ::dup2(::fileno(said.get()), STDERR_FILENO);
    const Value<int> starts(0);
    PoolOptions with = options(1);
    with.initializer = bind(
        [](Value<int>& counted) {
          const int start = ++*counted.lock();
          if (start % 2 != 0) throw std::runtime_error("start " + std::to_string(start) + ".");
        },
        starts);
    Pool pool(with);
    FORKFUL_MUST(pool.apply(same, 1) == 1);
    ::kill(pool.worker_pids().at(0), SIGKILL);
    FORKFUL_MUST(pool.apply(same, 2) == 2);
    FORKFUL_MUST(starts.load() == 4);
  });
  EXPECT_EQ(program.wait(), 0);
  const std::string text = text_of(said.get());
  EXPECT_NE(text.find("start 1."), std::string::npos) << text;
  EXPECT_NE(text.find("start 3."), std::string::npos) << text;
}

TEST_P(PoolDeaths, results_of_a_finished_item_survive_its_worker) {
  Pool pool(options(1));
  try {
    pool.map(
        [](int item) {
          if (item == 9) ::kill(::getpid(), SIGKILL);
          if (item == 4) throw std::domain_error("item 4");
          return item;
        },
        std::views::iota(0, 10), {.chunk_size = 10});
    FAIL();
  } catch (const std::domain_error& error) {
    EXPECT_STREQ(error.what(), "item 4");  // handed in before the death, and of an earlier item
  }
}

}  // namespace
}  // namespace forkful::test
