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

constexpr std::int64_t kShortNs = 2'000;
constexpr std::int64_t kSliceNs = 4'000'000;

int waits_until_yield(YieldBudget& budget) {
  int waits = 1;
  while (!budget.next()) ++waits;
  return waits;
}

// Time slices that are lost until the budget has enough of them.
int slices_until_debt(YieldBudget& budget) {
  int slices = 0;
  for (; budget.next(); ++slices) budget.learn(kSliceNs);
  return slices;
}

TEST(YieldBudget, yields_in_each_wait_as_long_as_that_costs_nothing) {
  YieldBudget budget;
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_TRUE(budget.next());
    if (i % 2 == 0) budget.learn(kShortNs);  // else it was in vain
  }
}

TEST(YieldBudget, some_time_slices_are_nothing_and_then_one_is_lost_in_thousands_of_waits) {
  YieldBudget budget;
  const int slices = slices_until_debt(budget);
  EXPECT_GE(slices, 4) << "processes that start need some";
  EXPECT_LE(slices, 10);
  (void)waits_until_yield(budget);
  for (int i = 0; i < 5; ++i) {
    budget.learn(kSliceNs);
    const int waits = waits_until_yield(budget);
    EXPECT_GT(waits, 1'000) << "a time slice is up to 4 ms, a wake-up on one CPU 4 us";
    EXPECT_LT(waits, 10'000) << "it never gives up for good";
  }
}

TEST(YieldBudget, what_pays_now_and_then_makes_good_no_time_slice_each_few_waits) {
  YieldBudget budget;
  int slices = 0;
  for (int i = 0; i < 100'000; ++i) {
    if (!budget.next()) continue;
    const bool dear = i % 10 == 0;
    if (dear) ++slices;
    budget.learn(dear ? kSliceNs : kShortNs);
  }
  EXPECT_LT(slices, 100) << "of 10,000 that there would be";
}

TEST(YieldBudget, what_has_paid_for_long_makes_good_what_was_lost) {
  YieldBudget budget;
  (void)slices_until_debt(budget);
  (void)waits_until_yield(budget);
  for (int i = 0; i < 10'000; ++i) budget.learn(kShortNs);
  EXPECT_GE(slices_until_debt(budget), 4);
}

TEST(YieldBudget, takes_a_time_slice_for_cheap_in_which_the_other_side_has_made_many) {
  YieldBudget budget;
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(budget.next());
    budget.learn(kSliceNs);
    budget.learn_found(1'000);
  }
  for (int i = 0; i < 100 && budget.next(); ++i) {
    budget.learn(kSliceNs);
    budget.learn_found(2);
  }
  EXPECT_FALSE(budget.next()) << "one or two make no slice worth while";
}

TEST(YieldBudget, a_process_that_was_stopped_is_not_in_debt_for_ever) {
  YieldBudget budget;
  for (int i = 0; i < 100 && budget.next(); ++i) budget.learn(3'600'000'000'000);
  EXPECT_LT(waits_until_yield(budget), 10'000);
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
