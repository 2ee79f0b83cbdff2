// Futures that are awaited by coroutines.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <forkful/coroutine.hpp>
#include <forkful/forkful.hpp>
#include <stdexcept>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

class Coroutines : public AllContexts {
 protected:
  [[nodiscard]] PoolOptions options(int processes = 2) const {
    return {.processes = processes, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(Coroutines);

// Runs at once and is not awaited itself.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

int square(int x) { return x * x; }

Detached sum_squares(Pool& pool, int most, std::atomic<int>& into) {
  int sum = 0;
  for (int i = 1; i <= most; ++i) sum += co_await pool.apply_async(square, i);
  into = sum;
}

TEST_P(Coroutines, go_on_with_the_result) {
  Pool pool(options());
  std::atomic<int> sum{0};
  sum_squares(pool, 20, sum);
  EXPECT_TRUE(eventually([&] { return sum == 2870; }));
}

Detached note_error(Pool& pool, std::atomic<int>& into) {
  try {
    co_await pool.apply_async([] { throw std::out_of_range("too far"); });
  } catch (const std::out_of_range&) {
    into = 1;
  }
  try {
    co_await pool.apply_async([] { ::kill(::getpid(), SIGKILL); });
  } catch (const WorkerDied&) {
    into = into + 1;
  }
}

TEST_P(Coroutines, see_exceptions_and_deaths) {
  Pool pool(options());
  std::atomic<int> caught{0};
  note_error(pool, caught);
  EXPECT_TRUE(eventually([&] { return caught == 2; }));
}

Detached wait_for(Pool& pool, Event event, std::atomic<int>& into) {
  auto future = pool.apply_async([](Event& until) { until.wait(); }, event);
  try {
    co_await future;
  } catch (const Cancelled&) {
    into = 1;
  }
}

TEST_P(Coroutines, are_resumed_when_the_pool_is_stopped) {
  std::atomic<int> cancelled{0};
  {
    Pool pool(options(1));
    wait_for(pool, Event(), cancelled);
  }
  EXPECT_EQ(cancelled, 1);
}

TEST_P(Coroutines, of_a_closed_pool_run_before_its_join_is_over) {
  std::atomic<int> done{0};
  const auto wait_once = [](Pool& pool, std::atomic<int>& into) -> Detached {
    into = co_await pool.apply_async(square, 3);
  };
  Pool pool(options());
  wait_once(pool, done);
  pool.close();
  pool.join();
  EXPECT_EQ(done, 9);
}

}  // namespace
}  // namespace forkful::test
