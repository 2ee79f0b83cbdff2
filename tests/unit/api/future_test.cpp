// Calls that run some time.

#include <atomic>
#include <forkful/forkful.hpp>
#include <random>
#include <thread>

#include "support/child.hpp"
#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Futures : public AllContexts {
 protected:
  [[nodiscard]] PoolOptions options(int processes = 2) const {
    return {.processes = processes, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(Futures);

int square(int x) { return x * x; }

TEST_P(Futures, are_independent_of_the_order_of_their_get) {
  Pool pool(options());
  std::vector<Future<int>> futures;
  for (int i = 0; i < 50; ++i) futures.push_back(pool.apply_async(square, i));
  for (int i = 49; i >= 0; --i) EXPECT_EQ(futures[static_cast<std::size_t>(i)].get(), i * i);
  EXPECT_THROW(futures[0].get(), Error);
  EXPECT_FALSE(futures[0].valid());
}

TEST_P(Futures, one_says_when_it_is_done) {
  Pool pool(options());
  Event release;
  auto future = pool.apply_async([](Event& until) { until.wait(); }, release);
  EXPECT_FALSE(future.done());
  EXPECT_FALSE(future.wait_for(1ms));
  release.set();
  EXPECT_TRUE(future.wait_for(10s));
  EXPECT_TRUE(future.done());
}

TEST_P(Futures, get_for_hands_the_result_out_if_it_is_there_in_time) {
  Pool pool(options());
  Event release;
  auto future = pool.apply_async(
      [](Event& until) {
        until.wait();
        return 5;
      },
      release);
  EXPECT_EQ(future.get_for(1ms), std::nullopt);
  EXPECT_EQ(future.get_until(std::chrono::steady_clock::now()), std::nullopt);
  EXPECT_FALSE(future.wait_until(std::chrono::system_clock::now() + 1ms));
  EXPECT_FALSE(future.wait_until(std::chrono::system_clock::time_point::min()));
  ASSERT_TRUE(future.valid());
  release.set();
  EXPECT_TRUE(future.wait_until(std::chrono::system_clock::time_point::max()));
  EXPECT_EQ(future.get_for(10s), 5);
  EXPECT_FALSE(future.valid());
  EXPECT_TRUE(pool.apply_async([] {}).get_for(10s));
}

TEST_P(Futures, a_stop_request_ends_the_wait_and_leaves_the_call) {
  Pool pool(options());
  Event release;
  auto future = pool.apply_async([](Event& until) { until.wait(); }, release);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_FALSE(future.wait(stop.get_token()));
  EXPECT_FALSE(future.get(stop.get_token()));
  release.set();
  EXPECT_TRUE(future.wait(std::stop_token()));
}

TEST_P(Futures, a_call_that_waits_can_be_cancelled_and_one_that_runs_cannot) {
  Pool pool(options(1));
  Event begun;
  Event release;
  Value<int> ran(0);
  auto running = pool.apply_async(
      [](Event& at, Event& until) {
        at.set();
        until.wait();
      },
      begun, release);
  begun.wait();
  auto waiting = pool.apply_async([](Value<int>& count) { ++*count.lock(); }, ran);
  EXPECT_FALSE(running.cancel());
  EXPECT_TRUE(waiting.cancel());
  EXPECT_THROW(waiting.get(), Cancelled);
  release.set();
  running.get();
  EXPECT_EQ(pool.apply(square, 2), 4);
  EXPECT_EQ(ran.load(), 0);
}

// A worker that is busy until `release`, so that what is submitted next waits.
struct Busy {
  explicit Busy(Pool& pool) {
    running = pool.apply_async(
        [](Event& at, Event& until) {
          at.set();
          until.wait();
        },
        begun, release);
    begun.wait();
  }
  Event begun;
  Event release;
  Future<void> running;
};

void count_up(int, Value<int>& count) { ++*count.lock(); }

TEST_P(Futures, none_of_a_cancelled_map_s_items_runs) {
  Pool pool(options(1));
  const Busy busy(pool);
  const Value<int> ran(0);
  std::vector<std::tuple<int, Value<int>>> items;
  for (int i = 0; i < 12; ++i) items.emplace_back(i, ran);
  auto waiting = pool.starmap_async(count_up, items, {.chunk_size = 2});
  EXPECT_TRUE(waiting.cancel());
  busy.release.set();
  EXPECT_THROW((void)waiting.get(), Cancelled);
  EXPECT_EQ(pool.apply(square, 2), 4);
  EXPECT_EQ(ran.load(), 0);
}

// A worker that has just claimed a call may look for cancellations before or after this client's.
TEST_P(Futures, what_cancel_says_is_what_becomes_of_the_call) {
  Pool pool(options(2));
  const Value<int> ran(0);
  std::mt19937 random(test::seed());
  int runs = 0;
  for (int round = 0; round < 600; ++round) {
    auto call = pool.apply_async(count_up, round, ran);
    for (std::uint32_t naps = random() % 2000; naps != 0; --naps) {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    if (call.cancel()) {
      EXPECT_THROW(call.get(), Cancelled);
    } else {
      EXPECT_NO_THROW(call.get());
      ++runs;
    }
  }
  EXPECT_EQ(pool.apply(square, 2), 4);
  EXPECT_EQ(ran.load(), runs);
}

// Its result is in the ring of results, and so are more than are taken at a time.
TEST_P(Futures, a_call_whose_result_lies_behind_many_others_cannot_be_cancelled) {
  constexpr int kCalls = 900;
  Pool pool(options(1));
  const Value<int> ran(0);
  std::vector<Future<void>> calls;
  {
    const Busy busy(pool);
    for (int i = 0; i < kCalls; ++i) calls.push_back(pool.apply_async(count_up, i, ran));
    busy.release.set();
  }
  while (ran.load() < kCalls) std::this_thread::yield();
  EXPECT_FALSE(calls.back().cancel());
  for (auto& each : calls) each.get();
}

TEST_P(Futures, a_map_of_which_items_have_run_cannot_be_cancelled) {
  Pool pool(options(1));
  const Value<int> ran(0);
  std::vector<std::tuple<int, Value<int>>> items;
  for (int i = 0; i < 200; ++i) items.emplace_back(i, ran);
  auto calls = pool.starmap_async(count_up, items, {.chunk_size = 1});
  while (ran.load() == 0) std::this_thread::yield();
  EXPECT_FALSE(calls.cancel());
  (void)calls.get();
  EXPECT_EQ(ran.load(), 200);
}

// More often than there are places for cancelled calls.
TEST_P(Futures, calls_can_be_cancelled_though_many_were_before) {
  Pool pool(options(1));
  const Value<int> ran(0);
  for (int round = 0; round < 20; ++round) {
    const Busy busy(pool);
    for (int i = 0; i < 10; ++i) {
      auto waiting = pool.apply_async(count_up, i, ran);
      EXPECT_TRUE(waiting.cancel()) << round;
    }
    busy.release.set();
    EXPECT_EQ(pool.apply(square, 2), 4);
  }
  EXPECT_EQ(ran.load(), 0);
}

}  // namespace
}  // namespace forkful::test
