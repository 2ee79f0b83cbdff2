// Arrays between processes.

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <forkful/forkful.hpp>
#include <list>
#include <numeric>
#include <ranges>
#include <span>
#include <sstream>
#include <stdexcept>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Arrays : public AllContexts {
 protected:
  [[nodiscard]] ProcessOptions options() const { return {.context = GetParam()}; }
};
FORKFUL_OVER_ALL_CONTEXTS(Arrays);

struct Point {
  double x = 1;
  std::int32_t count = 2;
  friend bool operator==(const Point&, const Point&) = default;
};

TEST_P(Arrays, are_seen_and_changed_elsewhere) {
  Array<Point> points(1000);
  EXPECT_EQ(points.load(999), Point{});
  Process child(
      options(),
      [](Array<Point>& shared) {
        int number = 0;
        for (Point& point : shared.lock()) point.count = number++;
        shared.store(0, {.x = 0.5, .count = 7});
      },
      points);
  child.join();
  EXPECT_EQ(child.exit_code(), 0);
  EXPECT_EQ(points.load(0), (Point{0.5, 7}));
  EXPECT_EQ(points.load(999), (Point{1, 999}));
}

TEST_P(Arrays, survive_concurrent_increments) {
  constexpr int kEach = 2000;
  Array<int> counts(3);
  const auto add = [](Array<int>& to, int times) {
    for (int i = 0; i < times; ++i) ++to.lock()[static_cast<std::size_t>(i) % 3];
  };
  {
    const Process a(options(), add, counts, kEach);
    const Process b(options(), add, counts, kEach);
  }
  const auto guard = counts.lock();
  EXPECT_EQ(std::accumulate(guard.begin(), guard.end(), 0), 2 * kEach);
}

TEST_P(Arrays, can_be_sent_through_a_queue) {
  Queue<Array<int>> arrays;
  Process child(options(), [](Queue<Array<int>>& from) { from.get().store(1, 42); }, arrays);
  const Array<int> array(2);
  arrays.put(array);
  child.join();
  EXPECT_EQ(array.load(1), 42);
}

TEST_P(Arrays, tell_of_an_owner_that_was_killed) {
  Array<int> array(2);
  Process killed(
      options(),
      [](Array<int>& shared) {
        const auto guard = shared.lock();
        guard[0] = 1;
        ::kill(::getpid(), SIGKILL);
      },
      array);
  killed.join();
  EXPECT_THROW((void)array.load(0), LockOwnerDied);
  EXPECT_THROW(array.store(0, 2), LockOwnerDied);
  EXPECT_THROW((void)array.lock(), LockOwnerDied);
  EXPECT_TRUE(array.get_lock().recover());
  EXPECT_EQ(array.load(0), 1);
  array.get_lock().unlock();
}

TEST(Array, is_made_of_a_size_a_list_or_a_range) {
  EXPECT_EQ(Array<int>(5).size(), 5u);
  EXPECT_EQ(Array<int>(5).load(4), 0);
  EXPECT_EQ(Array<int>(0).size(), 0u);
  const Array listed{1.5, 2.5};
  EXPECT_EQ(listed.load(1), 2.5);
  const Array of_list(std::list<std::int8_t>{1, 2, 3});
  EXPECT_EQ(of_list.size(), 3u);
  EXPECT_EQ(of_list.load(2), 3);
  const std::vector<int> numbers{4, 5};
  EXPECT_EQ(Array<int>(std::span(numbers)).load(1), 5);
  EXPECT_EQ(Array<double>(std::views::iota(1, 4)).load(2), 3.0);
  EXPECT_EQ(Array<bool>(std::vector<bool>{false, true}).load(1), true);
  std::istringstream words("7 8 9");
  EXPECT_EQ(Array<int>(std::ranges::istream_view<int>(words)).size(), 3u) << "walked only once";
  EXPECT_THROW(Array<double>(~std::size_t{0} / 4), std::length_error);
}

TEST(Array, names_the_index_that_is_out_of_its_size) {
  const Array<int> array{1, 2};
  const auto expect_named = [](auto access) {
    try {
      access();
      ADD_FAILURE() << "not refused";
    } catch (const std::out_of_range& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find("index 2 "), std::string::npos) << what;
      EXPECT_NE(what.find("size 2"), std::string::npos) << what;
    }
  };
  expect_named([&] { (void)array.load(2); });
  expect_named([&] { array.store(2, 1); });
  expect_named([&] { array.lock()[2] = 1; });
  EXPECT_FALSE(array.get_lock().is_mine()) << "nothing was left locked";
}

TEST(Array, is_guarded_while_its_guard_lives) {
  const Array array{1, 2, 3};
  auto guard = array.try_lock();
  ASSERT_TRUE(guard);
  const std::span<int> all(*guard);
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(guard->data(), all.data());
  std::jthread([&] {
    EXPECT_FALSE(array.try_lock());
    EXPECT_FALSE(array.try_lock_for(1ms));
    EXPECT_FALSE(array.try_lock_until(std::chrono::system_clock::now() + 1ms));
    std::stop_source stop;
    stop.request_stop();
    EXPECT_FALSE(array.lock(stop.get_token()));
  }).join();
  auto moved = std::move(*guard);
  guard.reset();
  EXPECT_TRUE(array.get_lock().is_mine());
}

TEST(Value, is_locked_in_time_or_not_at_all) {
  const Value<int> value(1);
  auto guard = value.try_lock();
  ASSERT_TRUE(guard);
  **guard = 2;
  std::jthread([&] {
    EXPECT_FALSE(value.try_lock());
    EXPECT_FALSE(value.try_lock_for(1ms));
    EXPECT_FALSE(value.try_lock_until(std::chrono::system_clock::now() + 1ms));
    std::stop_source stop;
    stop.request_stop();
    EXPECT_FALSE(value.lock(stop.get_token()));
  }).join();
  guard.reset();
  EXPECT_FALSE(value.get_lock().is_mine());
  EXPECT_EQ(value.load(), 2);
}

}  // namespace
}  // namespace forkful::test
