// Many that wait at one queue: what they cost while nothing comes, counted by the kernel.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"

namespace forkful::bytes {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

// How often the processes have gone to sleep, together.
std::int64_t sleeps_of(const std::vector<test::Child>& children) {
  const std::string name = "voluntary_ctxt_switches:";
  std::int64_t sum = 0;
  for (const test::Child& each : children) {
    std::ifstream status("/proc/" + std::to_string(each.pid()) + "/status");
    std::string line;
    while (std::getline(status, line)) {
      if (line.compare(0, name.size(), name) == 0) sum += std::stoll(line.substr(name.size()));
    }
  }
  return sum;
}

double sleeps_a_second(const std::vector<test::Child>& children) {
  const std::int64_t before = sleeps_of(children);
  const auto begin = steady_clock::now();
  // Why: whether they wake by themselves shows only in time.
  std::this_thread::sleep_for(2s);
  const std::chrono::duration<double> passed = steady_clock::now() - begin;
  return static_cast<double>(sleeps_of(children) - before) / passed.count();
}

TEST(IdleReceivers, wake_fewer_than_a_hundred_times_a_second_in_all_and_come_when_they_are_called) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "many forks";
  constexpr std::uint32_t kReceivers = 100;
  const ByteQueue queue = ByteQueue::create();
  std::vector<test::Child> children;
  for (std::uint32_t i = 0; i < kReceivers; ++i) {
    children.push_back(test::fork_child([&] {
      ByteMessage message;
      FORKFUL_MUST(test::get(queue, message) == ByteQueue::Got::received);
    }));
  }
  for (const test::Child& each : children) {
    FORKFUL_AWAIT(arena::member(each.member()).asleep != 0);
  }
  double rate = sleeps_a_second(children);
  // They come to rest within seconds, on a busy machine maybe later.
  for (int i = 0; i < 10 && rate >= 100; ++i) rate = sleeps_a_second(children);
  EXPECT_LT(rate, 100);

  for (std::uint32_t i = 0; i < kReceivers; ++i) {
    ASSERT_EQ(test::put(queue, test::make_message(0, i, 20)), ByteQueue::Put::sent);
  }
  for (test::Child& each : children) EXPECT_EQ(each.wait(), 0);
}

}  // namespace
}  // namespace forkful::bytes
