// How long a place spins and how often it yields, as it learns whether that pays.
#include <gtest/gtest.h>

#include "sync/pace.hpp"

namespace forkful::sync {
namespace {

TEST(SpinBudget, is_learnt_from_what_paid) {
  SpinBudget budget;
  EXPECT_GT(budget.next_ns(), 0);
  for (int i = 0; i < 10; ++i) budget.learn(budget.next_ns(), false);
  int tries = 0;
  for (int i = 0; i < 64; ++i) tries += budget.next_ns() != 0 ? 1 : 0;
  EXPECT_GT(tries, 0) << "it tries again now and then";
  EXPECT_LT(tries, 16);
  budget.learn(50'000, true);
  EXPECT_GT(budget.next_ns(), 50'000);
}

int waits_until_yield(YieldBudget& budget) {
  int waits = 1;
  while (!budget.next()) ++waits;
  return waits;
}

TEST(YieldBudget, yields_in_each_wait_whether_or_not_it_has_paid) {
  YieldBudget budget;
  EXPECT_EQ(waits_until_yield(budget), 1);
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(budget.next()) << "in vain " << i << " times";
  budget.learn_paid();
  EXPECT_TRUE(budget.next());
}

TEST(YieldBudget, what_cost_a_time_slice_is_tried_ever_more_seldom_until_it_pays) {
  YieldBudget budget;
  int before = 1;
  for (int i = 0; i < 4; ++i) {
    budget.learn_dear();
    const int waits = waits_until_yield(budget);
    EXPECT_GT(waits, before);
    before = waits;
  }
  EXPECT_GT(before, 1'000) << "a time slice is up to 4 ms, a wake-up on one CPU 4 us";
  EXPECT_LT(before, 10'000);
  budget.learn_dear();
  EXPECT_LE(waits_until_yield(budget), before) << "it never gives up for good";
  for (int i = 0; i < 13; ++i) {
    budget.learn_paid();
    const int waits = waits_until_yield(budget);
    EXPECT_LT(waits, before) << "where it pays now and then only, it stays seldom";
    before = waits;
  }
  EXPECT_EQ(before, 1);
}

TEST(YieldBudget, takes_a_time_slice_for_cheap_in_which_the_other_side_has_made_many) {
  YieldBudget budget;
  budget.learn_dear();
  budget.learn_found(2);
  EXPECT_FALSE(budget.next()) << "one or two make no slice worth while";
  budget.learn_found(1000);
  EXPECT_TRUE(budget.next());
}

TEST(SpinBudget, a_place_that_gave_up_spins_once_at_a_retry_and_retries_ever_more_seldom) {
  SpinBudget budget;
  while (budget.next_ns() != 0) budget.learn(budget.next_ns(), false);
  const auto spins_in_vain = [&](int waits) {
    int spins = 0;
    for (int i = 0; i < waits; ++i) {
      const std::int64_t ns = budget.next_ns();
      if (ns != 0) ++spins;
      budget.learn(ns, false);
    }
    return spins;
  };
  EXPECT_GE(spins_in_vain(64), 1);
  EXPECT_LE(spins_in_vain(2'000), 20);
  EXPECT_GE(spins_in_vain(1'000), 1) << "it never gives up for good";
}

TEST(SpinBudget, silence_grows_and_shrinks_within_bounds) {
  SpinBudget budget;
  const std::uint32_t least = budget.silence();
  EXPECT_GT(least, 0u);
  for (int i = 0; i < 40; ++i) budget.lengthen_silence();
  const std::uint32_t most = budget.silence();
  EXPECT_GT(most, least);
  EXPECT_LT(most, 1000u);
  for (int i = 0; i < 40; ++i) budget.shorten_silence();
  EXPECT_EQ(budget.silence(), least);
}

}  // namespace
}  // namespace forkful::sync
