// What a pool computes.

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <forkful/forkful.hpp>
#include <iterator>
#include <numeric>
#include <ranges>
#include <set>
#include <sstream>
#include <thread>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Pools : public AllContexts {
 protected:
  [[nodiscard]] PoolOptions options(int processes = 2) const {
    return {.processes = processes, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(Pools);

int square(int x) { return x * x; }

TEST_P(Pools, map_keeps_the_order_of_its_items) {
  Pool pool(options());
  for (const std::size_t chunk : {0, 1, 7, 5000}) {
    const auto squares = pool.map(square, std::views::iota(0, 1000), {.chunk_size = chunk});
    ASSERT_EQ(squares.size(), 1000u);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(squares[static_cast<std::size_t>(i)], i * i);
  }
}

TEST_P(Pools, map_of_nothing_is_empty) {
  Pool pool(options());
  EXPECT_TRUE(pool.map(square, std::vector<int>()).empty());
}

TEST_P(Pools, map_takes_a_range_that_can_be_read_once) {
  Pool pool(options());
  std::istringstream numbers("1 2 3");
  EXPECT_EQ(pool.map(square, std::views::istream<int>(numbers)), (std::vector{1, 4, 9}));
}

TEST_P(Pools, results_may_be_of_any_codable_type) {
  Pool pool(options());
  const std::vector<std::string> words{"a", "bb"};
  const auto doubled = pool.map([](const std::string& word) { return word + word; }, words);
  EXPECT_EQ(doubled, (std::vector<std::string>{"aa", "bbbb"}));
  const std::vector<char> long_ones =
      pool.map([](std::string word) { return word.size() > 1; }, words);
  EXPECT_EQ(long_ones, (std::vector<char>{0, 1}));
  pool.map([](std::string) {}, words);
}

TEST_P(Pools, starmap_spreads_tuples_over_parameters) {
  Pool pool(options());
  const std::vector<std::tuple<int, std::string>> items{{1, "a"}, {2, "b"}};
  EXPECT_EQ(pool.starmap([](int n, const std::string& s) { return s + std::to_string(n); }, items),
            (std::vector<std::string>{"a1", "b2"}));
  const std::vector<std::pair<int, int>> pairs{{1, 2}};
  EXPECT_EQ(pool.starmap([](int a, int b) { return a + b; }, pairs), std::vector{3});
}

TEST_P(Pools, map_into_writes_where_it_is_told) {
  Pool pool(options());
  std::vector<int> out;
  pool.map_into(square, std::vector{2, 3}, std::back_inserter(out));
  EXPECT_EQ(out, (std::vector{4, 9}));
}

TEST_P(Pools, imap_hands_out_results_in_order_and_reads_its_input_lazily) {
  Pool pool(options());
  int pulled = 0;
  auto endless = std::views::iota(0) | std::views::transform([&](int x) {
                   ++pulled;
                   return x;
                 });
  int expected = 0;
  for (const int result : pool.imap(square, endless, {.chunk_size = 3})) {
    ASSERT_EQ(result, expected * expected);
    if (++expected == 1000) break;
  }
  EXPECT_LT(pulled, 3000);
}

TEST_P(Pools, imap_outcomes_survive_failures) {
  Pool pool(options());
  auto results = pool.imap(
      [](int x) {
        if (x == 1) throw std::runtime_error("odd");
        return x;
      },
      std::vector{0, 1, 2});
  int failed = 0;
  int sum = 0;
  for (auto& outcome : results.outcomes()) {
    outcome.ok() ? sum += outcome.value() : ++failed;
  }
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(sum, 2);
}

TEST_P(Pools, lambdas_and_bound_arguments_arrive) {
  Pool pool(options());
  EXPECT_EQ(pool.apply([offset = 10](int x) { return x + offset; }, 1), 11);
  const auto join = [](const std::vector<std::string>& words, int index) {
    return words.at(static_cast<std::size_t>(index));
  };
  const std::vector<std::string> words{"x", "y"};
  EXPECT_EQ(pool.map(bind(join, words), std::vector{1, 0}), (std::vector<std::string>{"y", "x"}));
}

TEST_P(Pools, two_lambdas_of_one_type_name_are_told_apart) {
  Pool pool(options());
  const auto one = [] { return 1; };
  const auto two = [] { return 2; };
  EXPECT_EQ(pool.apply(one), 1);
  EXPECT_EQ(pool.apply(two), 2);
}

TEST_P(Pools, handles_reach_the_workers) {
  Pool pool(options());
  Value<int> sum(0);
  pool.map(bind([](Value<int>& to, int x) { *to.lock() += x; }, sum), std::views::iota(1, 101));
  EXPECT_EQ(sum.load(), 5050);
}

TEST_P(Pools, exceptions_come_back_as_their_own_type) {
  Pool pool(options());
  const auto fail = [](int how) {
    switch (how) {
      case 0:
        throw std::out_of_range("too far");
      case 1:
        throw std::system_error(ENOENT, std::generic_category(), "open");
      case 2:
        throw std::bad_alloc();
      case 3:
        throw 42;
      default:
        throw ShutDown("over");
    }
  };
  try {
    pool.apply(fail, 0);
    FAIL();
  } catch (const std::out_of_range& error) {
    EXPECT_STREQ(error.what(), "too far");
    ASSERT_NE(remote_info(error), nullptr);
    EXPECT_NE(remote_info(error)->pid, ::getpid());
    EXPECT_EQ(remote_info(error)->type, "std::out_of_range");
  }
  try {
    pool.apply(fail, 1);
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
  }
  EXPECT_THROW(pool.apply(fail, 2), std::bad_alloc);
  EXPECT_THROW(pool.apply(fail, 3), RemoteError);
  EXPECT_THROW(pool.apply(fail, 4), ShutDown);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

TEST_P(Pools, map_throws_what_the_first_failing_item_threw) {
  Pool pool(options());
  const auto fail_from = [](int x) {
    if (x >= 3) throw std::runtime_error(std::to_string(x));
    return x;
  };
  try {
    pool.map(fail_from, std::views::iota(0, 100), {.chunk_size = 2});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "3");
  }
}

TEST_P(Pools, close_and_join_finish_what_was_asked) {
  Value<int> ran(0);
  {
    Pool pool(options());
    for (int i = 0; i < 100; ++i) {
      (void)pool.apply_async([](Value<int>& count) { ++*count.lock(); }, ran);
    }
    EXPECT_THROW(pool.join(), Error);
    pool.close();
    EXPECT_THROW(pool.apply(square, 1), Error);
    pool.join();
    EXPECT_TRUE(pool.worker_pids().empty());
  }
  EXPECT_EQ(ran.load(), 100);
}

TEST_P(Pools, the_destructor_cancels_what_is_unfinished) {
  Event never;
  Event begun;
  Future<void> future;
  {
    Pool pool(options(1));
    future = pool.apply_async(
        [](Event& at, Event& until) {
          at.set();
          until.wait();
        },
        begun, never);
    begun.wait();
  }
  EXPECT_THROW(future.get(), Cancelled);
}

TEST_P(Pools, terminate_wakes_those_who_wait) {
  Pool pool(options(1));
  Event begun;
  Event never;
  auto future = pool.apply_async(
      [](Event& at, Event& until) {
        at.set();
        until.wait();
      },
      begun, never);
  std::jthread terminator([&] {
    begun.wait();
    pool.terminate();
  });
  EXPECT_THROW(future.get(), Cancelled);
}

TEST_P(Pools, an_initializer_runs_in_every_worker) {
  Semaphore started(0);
  PoolOptions with = options();
  with.initializer = bind([](Semaphore& each) { each.release(); }, started);
  Pool pool(with);
  started.acquire();
  started.acquire();
  EXPECT_FALSE(started.try_acquire());
}

TEST_P(Pools, workers_are_replaced_after_their_share_of_tasks) {
  PoolOptions with = options(1);
  with.max_tasks_per_child = 3;
  Pool pool(with);
  std::set<int> pids;
  for (int i = 0; i < 9; ++i) pids.insert(pool.apply([] { return ::getpid(); }));
  EXPECT_EQ(pids.size(), 3u);
}

TEST_P(Pools, many_threads_may_use_one_pool) {
  Pool pool(options());
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&pool, &wrong, t] {
        for (int i = 0; i < 100; ++i) {
          if (pool.apply(square, t * 1000 + i) != (t * 1000 + i) * (t * 1000 + i)) ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST_P(Pools, a_pool_may_be_used_in_a_worker) {
  Pool pool(options());
  const int sum = pool.apply(
      [](int context) {
        Pool inner({.processes = 1, .context = static_cast<Context>(context)});
        return inner.apply(square, 5);
      },
      static_cast<int>(GetParam()));
  EXPECT_EQ(sum, 25);
}

TEST_P(Pools, large_arguments_and_results_arrive_whole) {
  Pool pool(options());
  std::vector<double> large(1 << 18);
  std::iota(large.begin(), large.end(), 0.0);
  const auto back = pool.apply([](std::vector<double> v) { return v; }, large);
  EXPECT_EQ(back, large);
}

TEST(PoolCaptures, an_address_is_refused_under_spawn) {
  Pool pool(1);
  int local = 0;
  EXPECT_THROW(pool.apply([p = reinterpret_cast<std::uintptr_t>(&local)] { return p != 0; }),
               BadCapture);
  EXPECT_EQ(pool.apply([big = 0x7fff'ffff'ffff'ffffl] { return big; }), 0x7fff'ffff'ffff'ffffl);
}

TEST(PoolForks, an_inherited_pool_is_refused_and_inert) {
  auto pool = std::make_unique<Pool>(1);
  Process child({.context = Context::fork}, [word = reinterpret_cast<std::uintptr_t>(pool.get())] {
    auto* p = reinterpret_cast<Pool*>(word);
    try {
      (void)p->apply(square, 1);
    } catch (const Error&) {
      delete p;
      ::exit(7);
    }
  });
  child.join();
  EXPECT_EQ(child.exit_code(), 7);
  EXPECT_EQ(pool->apply(square, 2), 4);
}

}  // namespace
}  // namespace forkful::test
