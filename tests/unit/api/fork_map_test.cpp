// Maps over forked memory.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <forkful/forkful.hpp>
#include <forward_list>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>

namespace forkful::test {
namespace {

TEST(ForkMap, any_closure_works) {
  const std::map<std::string, int> prices{{"tea", 3}, {"milk", 2}};
  const std::vector<std::string> shopping{"milk", "tea", "milk"};
  EXPECT_EQ(fork_map([&](const std::string& what) { return prices.at(what); }, shopping,
                     {.processes = 2}),
            (std::vector{2, 3, 2}));
  const std::function<std::string(int)> erased =
      [owned = std::make_shared<std::string>("n")](int x) { return *owned + std::to_string(x); };
  EXPECT_EQ(fork_map(erased, std::vector{1, 2}), (std::vector<std::string>{"n1", "n2"}));
}

TEST(ForkMap, items_need_not_be_codable) {
  std::vector<std::unique_ptr<int>> items;
  for (int i = 0; i < 100; ++i) items.push_back(std::make_unique<int>(i));
  const auto results = fork_map([](const std::unique_ptr<int>& each) { return *each + 1; }, items,
                                {.processes = 3, .chunk_size = 7});
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(results[i], static_cast<int>(i) + 1);
}

TEST(ForkMap, ranges_of_every_kind_are_walked) {
  const auto next = [](int x) { return x + 1; };
  EXPECT_EQ(fork_map(next, std::views::iota(0, 3)), (std::vector{1, 2, 3}));
  EXPECT_EQ(fork_map(next, std::forward_list{1, 2}), (std::vector{2, 3}));
  std::istringstream numbers("4 5 6");
  EXPECT_EQ(fork_map(next, std::views::istream<int>(numbers)), (std::vector{5, 6, 7}));
  EXPECT_TRUE(fork_map(next, std::vector<int>()).empty());
}

TEST(ForkMap, what_the_function_changes_stays_in_its_worker) {
  int sum = 0;
  std::vector<int> items{1, 2, 3};
  fork_map([&](int& x) { sum += x++; }, items);
  EXPECT_EQ(sum, 0);
  EXPECT_EQ(items, (std::vector{1, 2, 3}));
}

TEST(ForkMap, runs_in_as_many_processes_as_asked) {
  std::vector<Event> begun(2);
  const auto pids = fork_map(
      [&](std::size_t index) {
        // Each waits for the other, so one process could not do it.
        begun[index].set();
        begun[1 - index].wait();
        return ::getpid();
      },
      std::views::iota(std::size_t{0}, std::size_t{2}), {.processes = 2, .chunk_size = 1});
  const std::set<int> different(pids.begin(), pids.end());
  EXPECT_EQ(different.size(), 2u);
  EXPECT_EQ(different.count(::getpid()), 0u);
}

TEST(ForkMap, a_death_costs_its_item_and_the_others_are_done) {
  Value<int> ran(0);
  EXPECT_THROW(fork_map(
                   [&](int x) {
                     ++*ran.lock();
                     if (x == 5) ::kill(::getpid(), SIGKILL);
                   },
                   std::views::iota(0, 40), {.processes = 2, .chunk_size = 8}),
               WorkerDied);
  EXPECT_EQ(ran.load(), 40);
}

TEST(ForkMap, exceptions_come_back) {
  const std::string reason = "because";
  EXPECT_THROW(fork_map([&](int) -> int { throw std::domain_error(reason); }, std::vector{1}),
               std::domain_error);
}

TEST(ForkMap, can_be_nested) {
  const int factor = 3;
  const auto sums = fork_map(
      [&](int x) {
        const auto inner =
            fork_map([&](int y) { return x * y * factor; }, std::vector{1, 2}, {.processes = 1});
        return inner[0] + inner[1];
      },
      std::vector{1, 2}, {.processes = 2});
  EXPECT_EQ(sums, (std::vector{9, 18}));
}

}  // namespace
}  // namespace forkful::test
