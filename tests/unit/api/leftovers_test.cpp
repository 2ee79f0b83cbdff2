// What is left when all is done: nothing.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <forkful/bytes/family.hpp>
#include <forkful/forkful.hpp>
#include <iterator>
#include <numeric>
#include <random>
#include <thread>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

class Leftovers : public AllContexts {};
FORKFUL_OVER_ALL_CONTEXTS(Leftovers);

struct Use {
  std::uint64_t bytes = bytes::heap_use().bytes_used;
  std::uint32_t members = bytes::heap_use().members;
  std::ptrdiff_t descriptors =
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  bool operator==(const Use&) const = default;
};

template <class Body>
void expect_steady_use(Body body) {
  body();
  const Use before;
  for (int i = 0; i < 20; ++i) body();
  const Use after;
  EXPECT_EQ(after.bytes, before.bytes);
  EXPECT_EQ(after.members, before.members);
  EXPECT_EQ(after.descriptors, before.descriptors);
}

TEST_P(Leftovers, none_of_a_process_and_its_arguments) {
  const Context context = GetParam();
  expect_steady_use([context] {
    Queue<int> queue;
    Value<int> value(1);
    Process(
        {.context = context}, [](Queue<int>& to, Value<int>& from) { to.put(from.load()); }, queue,
        value)
        .join();
    EXPECT_EQ(queue.get(), 1);
  });
}

TEST_P(Leftovers, none_of_a_pool_whose_worker_was_killed) {
  const Context context = GetParam();
  expect_steady_use([context] {
    Semaphore started(0);
    Pool pool({.processes = 1,
               .initializer = bind([](Semaphore& each) { each.release(); }, started),
               .context = context});
    EXPECT_THROW(pool.apply([] { ::kill(::getpid(), SIGKILL); }), WorkerDied);
    EXPECT_EQ(
        pool.apply([](const std::string& text) { return text; }, std::string(10'000, 'x')).size(),
        10'000u);
  });
}

TEST_P(Leftovers, none_of_callbacks_timeouts_and_executors) {
  using namespace std::chrono_literals;
  const Context context = GetParam();
  expect_steady_use([context] {
    Pool pool({.processes = 1, .context = context});
    std::size_t size = 0;
    pool.apply_async([] { return std::string(10'000, 'x'); })
        .then([&](const std::string& text) { size = text.size(); })
        .get();
    EXPECT_EQ(size, 10'000u);
    EXPECT_THROW(pool.apply_async({.timeout = 1ms},
                                  [] {
                                    for (;;) ::pause();
                                  })
                     .get(),
                 TimeoutError);
    ProcessPoolExecutor executor({.max_workers = 1, .context = context});
    auto results = executor.map([](int x) { return std::vector<int>(2000, x); },
                                std::vector{1, 2, 3}, {.chunk_size = 2});
    for (const auto& result : results) EXPECT_EQ(result.size(), 2000u);
    executor.shutdown({.cancel_futures = true});
    EXPECT_EQ(fork_map([&](int x) { return x + 1; }, std::vector{1}), std::vector{2});
  });
}

// Any item may be lost, none may be wrong, and the pool goes on.
TEST_P(Leftovers, a_pool_outlives_random_kills) {
  const unsigned seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  Pool pool({.processes = 3, .context = GetParam()});
  // One kill a round, so that workers have time to start also where that takes long.
  std::atomic<std::size_t> round{0};
  std::jthread killer([&](const std::stop_token& stop) {
    std::mt19937 random(seed);
    for (std::size_t seen = 0; !stop.stop_requested(); seen = round) {
      round.wait(seen);
      // Why: spreads the kills over the round; it waits for nothing.
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 400));
      const auto pids = pool.worker_pids();
      if (!pids.empty()) ::kill(pids[random() % pids.size()], SIGKILL);
    }
  });
  std::vector<int> items(100);
  std::iota(items.begin(), items.end(), 0);
  for (; round < 2000; ++round, round.notify_all()) {
    try {
      EXPECT_EQ(pool.map([](int x) { return x; }, items, {.chunk_size = 1 + round % 30}), items);
    } catch (const WorkerDied& died) {
      EXPECT_GT(died.pid(), 0) << died.what();
    }
  }
  killer.request_stop();
  ++round;
  round.notify_all();
}

}  // namespace
}  // namespace forkful::test
