// A wall clock that jumps has no effect on any wait.

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <forkful/event.hpp>
#include <forkful/lock.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <forkful/semaphore.hpp>
#include <thread>

#include "unit/process/actor.hpp"

namespace {
std::atomic<time_t> g_ahead_s{0};
}

// In the place of libc's, for the whole program: the wall clock is as far ahead as the test says.
extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const long answer = ::syscall(SYS_clock_gettime, clock, now);
  if (answer == 0 && clock == CLOCK_REALTIME) now->tv_sec += g_ahead_s.load();
  return static_cast<int>(answer);
}

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

// Moves the wall clock ten years to and fro while it lives.
class JumpingClock {
 public:
  ~JumpingClock() {
    thread_.request_stop();
    thread_.join();
    g_ahead_s = 0;
  }

 private:
  std::jthread thread_{[](const std::stop_token& stop) {
    constexpr time_t kTenYears = 315'360'000;
    while (!stop.stop_requested()) {
      g_ahead_s = g_ahead_s == kTenYears ? -kTenYears : kTenYears;
      std::this_thread::yield();
    }
  }};
};

class Clock : public testing::TestWithParam<Context> {};
INSTANTIATE_TEST_SUITE_P(, Clock, testing::ValuesIn(kContexts), name_of);

TEST(WallClock, jumps_in_this_program) {
  const auto before = std::chrono::system_clock::now();
  g_ahead_s = 1000;
  EXPECT_GT(std::chrono::system_clock::now() - before, 900s);
  g_ahead_s = 0;
}

TEST_P(Clock, that_jumps_ends_no_wait_early_and_keeps_none_from_ending) {
  const Queue<int> queue;
  const Event event;
  const Lock lock;
  lock.lock();
  const Semaphore semaphore(0);
  Process child({.context = GetParam()}, wait_to_be_killed);
  Pool pool({.processes = 1, .context = GetParam()});
  auto future = pool.apply_async([](Event& until) { until.wait(); }, event);
  {
    const JumpingClock jumping;
    for (int wait = 0; wait < 6; ++wait) {
      const auto begin = std::chrono::steady_clock::now();
      switch (wait) {
        case 0:
          EXPECT_EQ(queue.get_for(20ms), std::nullopt);
          break;
        case 1:
          EXPECT_FALSE(event.wait_for(20ms));
          break;
        case 2:
          EXPECT_FALSE(lock.try_lock_for(20ms));
          break;
        case 3:
          EXPECT_FALSE(semaphore.try_acquire_for(20ms));
          break;
        case 4:
          EXPECT_FALSE(child.join_for(20ms));
          break;
        default:
          EXPECT_FALSE(future.wait_for(20ms));
      }
      const auto took = std::chrono::steady_clock::now() - begin;
      EXPECT_GE(took, 20ms) << wait;
      EXPECT_LT(took, 20s) << wait;
    }
  }
  event.set();
  future.get();
  child.kill();
}

}  // namespace
}  // namespace forkful::test
