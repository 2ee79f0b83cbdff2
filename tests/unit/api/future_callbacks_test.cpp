// What runs after a call: Future::then() and Future::on_error().

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <forkful/forkful.hpp>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Callbacks : public AllContexts {
 protected:
  [[nodiscard]] PoolOptions options(int processes = 2) const {
    return {.processes = processes, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(Callbacks);

int square(int x) { return x * x; }
int fail(int x) { throw std::out_of_range(std::to_string(x)); }
void wait_for(Event& event) { event.wait(); }

TEST_P(Callbacks, then_gives_a_future_of_what_it_returns) {
  Pool pool(options());
  Future<std::string> text =
      pool.apply_async(square, 3).then([](int x) { return "nine is " + std::to_string(x); });
  EXPECT_EQ(text.get(), "nine is 9");
  EXPECT_FALSE(text.valid());
}

TEST_P(Callbacks, a_value_or_an_error_is_reported_for_each_call) {
  Pool pool(options());
  std::vector<int> values;
  std::vector<std::string> errors;
  std::vector<Future<void>> reported;
  for (int i = 0; i < 10; ++i) {
    reported.push_back(pool.apply_async(i == 7 ? fail : square, i)
                           .then([&](int value) { values.push_back(value); })
                           .on_error([&](const std::exception& e) { errors.push_back(e.what()); }));
  }
  for (auto& each : reported) each.wait();
  EXPECT_EQ(values.size(), 9u);
  EXPECT_EQ(errors, std::vector<std::string>{"7"});
}

TEST_P(Callbacks, run_though_their_futures_are_dropped) {
  std::vector<int> values;
  Pool pool(options());
  for (int i = 0; i < 20; ++i) {
    pool.apply_async(square, i).then([&](int value) { values.push_back(value); });
  }
  pool.close();
  pool.join();
  EXPECT_EQ(values.size(), 20u);
}

TEST_P(Callbacks, run_though_nobody_waits_in_the_pool) {
  Pool pool(options());
  std::atomic<int> value{0};
  pool.apply_async(square, 4).then([&](int x) { value = x; });
  EXPECT_TRUE(eventually([&] { return value == 16; }));
}

TEST_P(Callbacks, run_one_behind_the_other_on_one_thread_without_signals) {
  Pool pool(options());
  std::set<std::thread::id> threads;
  bool all_blocked = true;
  for (int i = 0; i < 20; ++i) {
    pool.apply_async(square, i).then([&](int) {
      threads.insert(std::this_thread::get_id());
      sigset_t mask;
      pthread_sigmask(SIG_BLOCK, nullptr, &mask);
      all_blocked = all_blocked && sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM);
    });
  }
  pool.close();
  pool.join();
  EXPECT_EQ(threads.size(), 1u);
  EXPECT_EQ(threads.count(std::this_thread::get_id()), 0u);
  EXPECT_TRUE(all_blocked);
}

TEST_P(Callbacks, what_one_throws_is_in_its_future_and_passes_then_by) {
  Pool pool(options());
  bool called = false;
  auto future = pool.apply_async(square, 1)
                    .then([](int) -> int { throw std::domain_error("mine"); })
                    .then([&](int) { called = true; });
  EXPECT_THROW(future.get(), std::domain_error);
  EXPECT_FALSE(called);
  EXPECT_EQ(pool.apply(square, 2), 4);
}

TEST_P(Callbacks, on_error_may_stand_in_for_the_result_or_leave_the_exception) {
  Pool pool(options());
  EXPECT_EQ(pool.apply_async(fail, 1).on_error([](const std::exception&) { return -1; }).get(), -1);
  EXPECT_EQ(pool.apply_async(square, 5).on_error([](std::exception_ptr) { return -1; }).get(), 25);
  std::exception_ptr seen;
  EXPECT_THROW(
      pool.apply_async(fail, 1).on_error([&](std::exception_ptr error) { seen = error; }).get(),
      std::out_of_range);
  EXPECT_THROW(std::rethrow_exception(seen), std::out_of_range);
}

TEST_P(Callbacks, of_a_call_that_is_done_run_too) {
  Pool pool(options());
  auto future = pool.apply_async(square, 3);
  future.wait();
  EXPECT_EQ(std::move(future).then([](int x) { return x + 1; }).get(), 10);
}

TEST_P(Callbacks, may_move_what_they_captured_and_what_they_get) {
  Pool pool(options());
  auto owned = std::make_unique<int>(1);
  auto future = pool.apply_async([](std::string s) { return s; }, "text")
                    .then([o = std::move(owned)](std::string&& s) mutable {
                      return std::make_pair(std::move(o), std::move(s));
                    });
  const auto [number, text] = future.get();
  EXPECT_EQ(*number, 1);
  EXPECT_EQ(text, "text");
}

TEST_P(Callbacks, may_use_the_pool) {
  Pool pool(options());
  auto sum = pool.apply_async(square, 2).then([&](int x) {
    const auto squares = pool.map(square, std::vector{x, x + 1});
    return squares[0] + squares[1];
  });
  EXPECT_EQ(sum.get(), 16 + 25);
}

// Waits for a word from a worker, not in the pool: the pool has to be attended by somebody else.
TEST_P(Callbacks, one_may_wait_for_what_a_worker_does_that_is_not_started_yet) {
  Pool pool(options(1));
  Event submitted;
  Event done;
  auto told = pool.apply_async(square, 1).then([&](int) {
    auto dies = pool.apply_async(
        [](Event& from) {
          from.wait();
          ::kill(::getpid(), SIGKILL);
        },
        submitted);
    auto tells = pool.apply_async([](Event& at) { at.set(); }, done);
    submitted.set();
    return done.wait_for(60s);
  });
  EXPECT_TRUE(told.get());
}

TEST_P(Callbacks, one_may_wait_for_what_comes_after_a_time_out) {
  Pool pool(options(1));
  Event never;
  Event done;
  auto told = pool.apply_async(square, 1).then([&](int) {
    auto late = pool.apply_async({.timeout = 10ms}, wait_for, never);
    auto tells = pool.apply_async([](Event& at) { at.set(); }, done);
    return done.wait_for(60s);
  });
  EXPECT_TRUE(told.get());
}

TEST_P(Callbacks, a_pool_is_stopped_while_one_waits_elsewhere) {
  std::atomic<bool> begun{false};
  std::atomic<bool> goes{false};
  Pool pool(options(1));
  pool.apply_async(square, 1).then([&](int) {
    begun = true;
    while (!goes) std::this_thread::yield();
  });
  ASSERT_TRUE(eventually([&] { return begun.load(); }));
  EXPECT_EQ(pool.apply(square, 3), 9);
  pool.close();
  goes = true;
  pool.join();
}

TEST_P(Callbacks, cannot_wait_for_another_one) {
  Pool pool(options());
  Event never;
  auto other = pool.apply_async(wait_for, never).then([] { return 1; });
  EXPECT_THROW(pool.apply_async(square, 1).then([&](int) { return other.get(); }).get(), Error);
  EXPECT_THROW(pool.apply_async(square, 1).then([&](int) { pool.join(); }).get(), Error);
}

TEST_P(Callbacks, of_a_dead_worker_get_its_death) {
  Pool pool(options());
  std::atomic<int> signal{0};
  pool.apply_async([] { ::kill(::getpid(), SIGKILL); }).on_error([&](std::exception_ptr error) {
    try {
      std::rethrow_exception(error);
    } catch (const WorkerDied& died) {
      signal = died.signal();
    }
  });
  EXPECT_TRUE(eventually([&] { return signal == SIGKILL; }));
}

// The collector drains alone here, so workers are started by a thread that blocks all signals.
TEST_P(Callbacks, workers_that_their_thread_starts_can_be_asked_to_end) {
  Pool pool(options(1));
  std::atomic<int> pid{0};
  pool.apply_async([] { ::_exit(3); }).on_error([&](const std::exception&) { pid = -1; });
  ASSERT_TRUE(eventually([&] { return pid == -1; }));
  pool.apply_async([] { return ::getpid(); }).then([&](int own) { pid = own; });
  ASSERT_TRUE(eventually([&] { return pid > 0; }));
  Event begun;
  auto asked = pool.apply_async(
      [](Event& at) {
        at.set();
        for (;;) ::pause();
      },
      begun);
  begun.wait();
  ::kill(pid, SIGTERM);
  try {
    asked.get();
    FAIL();
  } catch (const WorkerDied& died) {
    EXPECT_EQ(died.signal(), SIGTERM);
  }
}

TEST_P(Callbacks, of_a_stopped_pool_are_dropped_and_their_futures_cancelled) {
  bool called = false;
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
                     begun, never)
                 .then([&] { called = true; })
                 .on_error([&](const std::exception&) { called = true; });
    begun.wait();
  }
  EXPECT_THROW(future.get(), Cancelled);
  EXPECT_FALSE(called);
}

TEST_P(Callbacks, none_runs_behind_join) {
  Pool pool(options());
  auto future = pool.apply_async(square, 3);
  pool.close();
  pool.join();
  EXPECT_THROW(std::move(future).then([](int) {}), Error);
  EXPECT_EQ(future.get(), 9);
}

// The C++ library gives a thread's id to a later one.
TEST_P(Callbacks, a_joined_pool_is_destroyed_by_a_thread_that_has_the_id_of_theirs) {
  auto pool = std::make_unique<Pool>(options());
  std::thread::id theirs;
  pool->apply_async(square, 3).then([&](int) { theirs = std::this_thread::get_id(); }).get();
  pool->close();
  pool->join();
  std::vector<std::jthread> later;
  for (int i = 0; i < 8; ++i) {
    later.emplace_back([&] {
      if (std::this_thread::get_id() == theirs) pool.reset();
    });
  }
  later.clear();
  if (pool) GTEST_SKIP() << "no thread has that id";
}

TEST_P(Callbacks, terminate_waits_for_the_one_that_runs) {
  Pool pool(options(1));
  std::atomic<bool> begun{false};
  std::atomic<bool> over{false};
  pool.apply_async(square, 1).then([&](int) {
    begun = true;
    try {
      for (;;) pool.apply(square, 1);  // as long as the pool is not stopped
    } catch (const Error&) {
      over = true;
    }
  });
  ASSERT_TRUE(eventually([&] { return begun.load(); }));
  pool.terminate();
  EXPECT_TRUE(over);
}

TEST_P(Callbacks, one_may_terminate_its_pool) {
  Event never;
  Pool pool(options(1));
  auto stopped = pool.apply_async(square, 1).then([&](int) { pool.terminate(); });
  stopped.get();
  EXPECT_THROW(pool.apply(square, 1), Error);
}

TEST_P(Callbacks, can_be_cancelled_before_their_turn) {
  Pool pool(options(1));
  Event go;
  bool called = false;
  auto future = pool.apply_async(wait_for, go).then([&] { called = true; });
  EXPECT_TRUE(future.cancel());
  go.set();
  EXPECT_THROW(future.get(), Cancelled);
  EXPECT_EQ(pool.apply(square, 2), 4);
  pool.close();
  pool.join();
  EXPECT_FALSE(called);
}

TEST_P(Callbacks, of_many_threads_all_run) {
  Pool pool(options());
  std::atomic<int> sum{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 100; ++i) {
          auto next = pool.apply_async(square, i).then([&](int x) { sum += x; });
          if (i % 3 == 0) next.get();
        }
      });
    }
  }
  pool.close();
  pool.join();
  int expected = 0;
  for (int i = 0; i < 100; ++i) expected += 4 * i * i;
  EXPECT_EQ(sum, expected);
}

TEST_P(Callbacks, a_child_that_one_forks_ends_where_it_leaves_it) {
  Pool pool(options(1));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const auto say = [&](char what) { ASSERT_EQ(::write(ends[1], &what, 1), 1); };
  int status = -1;
  std::vector<Future<void>> reported;
  reported.push_back(pool.apply_async(square, 1).then([&](int) {
    const int pid = ::fork();
    if (pid == 0) return;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    say('a');
  }));
  for (int i = 0; i < 3; ++i) {
    reported.push_back(pool.apply_async(square, i).then([&](int) { say('b'); }));
  }
  for (auto& each : reported) each.wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ::close(ends[1]);
  char said[16];
  EXPECT_EQ(::read(ends[0], said, sizeof said), 4);
  EXPECT_EQ(::read(ends[0], said, sizeof said), 0);  // no process has the other end any more
  ::close(ends[0]);
}

TEST(CallbackDeathTest, destroying_the_pool_in_its_callback_ends_the_program) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto pool = std::make_unique<Pool>(PoolOptions{.processes = 1, .context = Context::fork});
        auto future = pool->apply_async(square, 1).then([&](int) { pool.reset(); });
        future.wait();
      },
      "must not destroy its pool");
}

}  // namespace
}  // namespace forkful::test
