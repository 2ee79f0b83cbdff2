// Barriers between processes.

#include <signal.h>
#include <unistd.h>

#include <forkful/forkful.hpp>
#include <stdexcept>
#include <thread>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Barriers : public AllContexts {
 protected:
  [[nodiscard]] ProcessOptions options() const { return {.context = GetParam()}; }
};
FORKFUL_OVER_ALL_CONTEXTS(Barriers);

TEST_P(Barriers, let_nobody_through_before_all_are_there) {
  constexpr int kRounds = 100;
  Barrier barrier(3);
  Value<int> came(0);
  Value<int> actions(0);
  Queue<std::size_t> indices;
  const auto body = [](Barrier& meeting, Value<int>& count, Value<int>& acted,
                       Queue<std::size_t>& order) {
    for (int round = 1; round <= kRounds; ++round) {
      ++*count.lock();
      order.put(meeting.wait([&] { ++*acted.lock(); }));
      if (count.load() < 3 * round || acted.load() < round) throw std::logic_error("too early");
    }
  };
  Process first(options(), body, barrier, came, actions, indices);
  Process second(options(), body, barrier, came, actions, indices);
  body(barrier, came, actions, indices);
  first.join();
  second.join();
  EXPECT_EQ(first.exit_code(), 0);
  EXPECT_EQ(second.exit_code(), 0);
  EXPECT_EQ(actions.load(), kRounds);
  std::size_t sum = 0;
  while (const auto index = indices.try_get()) sum += *index;
  EXPECT_EQ(sum, std::size_t{kRounds} * (0 + 1 + 2));
}

TEST_P(Barriers, break_when_a_party_is_killed_in_them) {
  Barrier barrier(3);
  Process killed(options(), [](Barrier& meeting) { meeting.wait(); }, barrier);
  ASSERT_TRUE(eventually([&] { return barrier.waiting() == 1; }));
  std::jthread killer([&] {
    EXPECT_TRUE(eventually([&] { return barrier.waiting() == 2; }));
    killed.kill();
  });
  EXPECT_THROW(barrier.wait(), BrokenBarrier);
  EXPECT_TRUE(barrier.broken());
}

TEST_P(Barriers, break_when_the_party_that_acts_is_killed) {
  Barrier barrier(2);
  Process killed(
      options(),
      [](Barrier& meeting) {
        (void)eventually([&] { return meeting.waiting() == 1; });
        meeting.wait([] { ::kill(::getpid(), SIGKILL); });
      },
      barrier);
  EXPECT_THROW(barrier.wait(), BrokenBarrier);
}

TEST_P(Barriers, tell_of_a_break_by_its_own_type_also_out_of_a_pool) {
  Barrier barrier(2);
  barrier.abort();
  Pool pool({.processes = 1, .context = GetParam()});
  EXPECT_THROW(
      (void)pool.apply([](const Barrier& meeting) { return static_cast<int>(meeting.wait()); },
                       barrier),
      BrokenBarrier);
}

TEST(Barrier, breaks_when_its_action_throws) {
  const Barrier barrier(2);
  std::jthread other([&] { EXPECT_THROW(barrier.wait(), BrokenBarrier); });
  ASSERT_TRUE(eventually([&] { return barrier.waiting() == 1; }));
  EXPECT_THROW(barrier.wait([] { throw std::out_of_range("mine"); }), std::out_of_range);
  EXPECT_TRUE(barrier.broken());
  barrier.reset();
  EXPECT_FALSE(barrier.broken());
  EXPECT_EQ(barrier.parties(), 2u);
}

TEST(Barrier, breaks_when_a_party_does_not_wait_any_longer) {
  const Barrier barrier(2);
  const auto nothing = [] {};
  std::stop_source stop;
  stop.request_stop();
  const auto expect_broken = [&](const std::optional<std::size_t>& passed) {
    EXPECT_EQ(passed, std::nullopt);
    EXPECT_TRUE(barrier.broken());
    EXPECT_THROW(barrier.wait(), BrokenBarrier);
    barrier.reset();
  };
  expect_broken(barrier.wait_for(1ms));
  expect_broken(barrier.wait_for(0ms, nothing));
  expect_broken(barrier.wait_until(std::chrono::steady_clock::now() + 1ms));
  expect_broken(barrier.wait_until(std::chrono::system_clock::now() + 1ms, nothing));
  expect_broken(barrier.wait(stop.get_token()));
  expect_broken(barrier.wait(stop.get_token(), nothing));
}

TEST(Barrier, passes_in_time) {
  const Barrier barrier(2);
  std::stop_source stop;
  std::jthread other([&] {
    EXPECT_TRUE(barrier.wait_for(20s));
    EXPECT_TRUE(barrier.wait_until(std::chrono::system_clock::now() + 20s));
    EXPECT_TRUE(barrier.wait(stop.get_token()));
  });
  for (int i = 0; i < 3; ++i) EXPECT_LT(barrier.wait(), 2u);
}

TEST(Barrier, sends_its_waiters_away_on_abort_and_reset) {
  const Barrier barrier(2);
  for (const bool abort : {true, false}) {
    std::jthread other([&] { EXPECT_THROW(barrier.wait(), BrokenBarrier); });
    ASSERT_TRUE(eventually([&] { return barrier.waiting() == 1; }));
    if (abort) barrier.abort();
    barrier.reset();
  }
  EXPECT_THROW(Barrier(0), std::invalid_argument);
}

}  // namespace
}  // namespace forkful::test
