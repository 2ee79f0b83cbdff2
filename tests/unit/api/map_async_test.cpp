// Maps that are not waited for, and those who watch them.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <forkful/forkful.hpp>
#include <numeric>
#include <ranges>
#include <set>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class AsyncMaps : public AllContexts {
 protected:
  [[nodiscard]] PoolOptions options(int processes = 2) const {
    return {.processes = processes, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(AsyncMaps);

int square(int x) { return x * x; }

TEST_P(AsyncMaps, a_map_gives_a_future_of_its_vector) {
  Pool pool(options());
  Event release;
  Future<std::vector<int>> squares = pool.map_async(bind(
                                                        [](Event& until, int x) {
                                                          until.wait();
                                                          return x * x;
                                                        },
                                                        release),
                                                    std::vector{1, 2, 3});
  EXPECT_FALSE(squares.done());
  release.set();
  EXPECT_EQ(squares.get(), (std::vector{1, 4, 9}));
  Future<void> nothing = pool.map_async([](int) {}, std::vector{1, 2});
  nothing.get();
  EXPECT_TRUE(pool.map_async(square, std::vector<int>()).get().empty());
}

TEST_P(AsyncMaps, starmap_async_spreads_tuples) {
  Pool pool(options());
  const std::vector<std::pair<int, int>> pairs{{1, 2}, {3, 4}};
  EXPECT_EQ(pool.starmap_async([](int a, int b) { return a * b; }, pairs).get(),
            (std::vector{2, 12}));
}

TEST_P(AsyncMaps, maps_have_callbacks_too) {
  Pool pool(options());
  auto sum = pool.map_async(square, std::views::iota(0, 100)).then([](std::vector<int> squares) {
    return std::accumulate(squares.begin(), squares.end(), 0);
  });
  EXPECT_EQ(sum.get(), 328350);
}

TEST_P(AsyncMaps, progress_rises_to_the_total_before_the_map_returns) {
  Pool pool(options());
  for (int round = 0; round < 20; ++round) {
    std::vector<std::size_t> told;
    pool.map(square, std::views::iota(0, 500),
             {.chunk_size = 7, .progress = [&](std::size_t done, std::size_t total) {
                told.push_back(done);
                EXPECT_EQ(total, 500u);
              }});
    ASSERT_FALSE(told.empty());
    EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
    EXPECT_EQ(told.back(), 500u);
  }
}

TEST_P(AsyncMaps, what_progress_throws_the_map_throws) {
  Pool pool(options());
  int calls = 0;
  EXPECT_THROW(pool.map(square, std::views::iota(0, 100),
                        {.chunk_size = 1,
                         .progress =
                             [&](std::size_t, std::size_t) {
                               ++calls;
                               throw std::domain_error("enough");
                             }}),
               std::domain_error);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(pool.map(square, std::vector{3}), std::vector{9});
}

TEST_P(AsyncMaps, progress_goes_on_behind_a_death) {
  Pool pool(options());
  std::size_t last = 0;
  const auto run = [](int x) {
    if (x == 20) ::kill(::getpid(), SIGKILL);
    return x;
  };
  EXPECT_THROW(
      pool.map(run, std::views::iota(0, 60),
               {.chunk_size = 9, .progress = [&](std::size_t n, std::size_t) { last = n; }}),
      WorkerDied);
  EXPECT_EQ(last, 60u);
}

TEST_P(AsyncMaps, progress_of_a_stopped_pool_ends) {
  Event begun;
  Event never;
  std::size_t calls = 0;
  Future<void> future;
  {
    Pool pool(options(1));
    future =
        pool.map_async(bind(
                           [](Event& at, Event& until, int x) {
                             if (x == 1) {
                               at.set();
                               until.wait();
                             }
                           },
                           begun, never),
                       std::vector{0, 1, 2},
                       {.chunk_size = 1, .progress = [&](std::size_t, std::size_t) { ++calls; }});
    begun.wait();
  }
  EXPECT_THROW(future.get(), Cancelled);
  EXPECT_LE(calls, 1u);
}

TEST_P(AsyncMaps, imap_unordered_hands_out_what_is_done_first) {
  Pool pool(options());
  Event release;
  auto results = pool.imap_unordered(bind(
                                         [](Event& until, int x) {
                                           if (x == 0) until.wait();
                                           return x;
                                         },
                                         release),
                                     std::views::iota(0, 50));
  std::set<int> seen;
  for (const int x : results) {
    EXPECT_EQ(x == 0, seen.size() == 49);  // all others can end first, and do
    seen.insert(x);
    if (seen.size() == 49) release.set();
  }
  EXPECT_EQ(seen.size(), 50u);
}

TEST_P(AsyncMaps, imap_unordered_outcomes_survive_failures_and_deaths) {
  Pool pool(options());
  auto results = pool.imap_unordered(
      [](int x) {
        if (x == 5) throw std::runtime_error("five");
        if (x == 9) ::kill(::getpid(), SIGKILL);
        return x;
      },
      std::views::iota(0, 40), {.chunk_size = 4});
  int sum = 0;
  int failed = 0;
  for (auto& outcome : results.outcomes()) {
    outcome.ok() ? sum += outcome.value() : ++failed;
  }
  EXPECT_EQ(failed, 2);
  EXPECT_EQ(sum, 780 - 5 - 9);
}

TEST_P(AsyncMaps, an_endless_imap_unordered_can_be_left) {
  Pool pool(options());
  std::size_t taken = 0;
  for (const int x : pool.imap_unordered(square, std::views::iota(0))) {
    EXPECT_GE(x, 0);
    if (++taken == 500) break;
  }
  EXPECT_EQ(pool.apply(square, 4), 16);
}

TEST_P(AsyncMaps, progress_is_refused_where_it_could_not_be_told) {
  Pool pool(options());
  auto in_callback = pool.apply_async(square, 1).then([&](int x) {
    pool.map(square, std::vector{x}, {.progress = [](std::size_t, std::size_t) {}});
  });
  EXPECT_THROW(in_callback.get(), Error);
  EXPECT_THROW(
      (void)pool.imap(square, std::vector{1}, {.progress = [](std::size_t, std::size_t) {}}),
      std::invalid_argument);
}

TEST_P(AsyncMaps, join_gives_up_in_time_or_when_asked) {
  Pool pool(options(1));
  Event release;
  auto future = pool.apply_async([](Event& until) { until.wait(); }, release);
  pool.close();
  EXPECT_FALSE(pool.join_for(1ms));
  EXPECT_FALSE(pool.join_until(std::chrono::steady_clock::now() + 1ms));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(pool.join(stop.get_token()));
  release.set();
  EXPECT_TRUE(pool.join_for(20s));
  future.get();
}

}  // namespace
}  // namespace forkful::test
