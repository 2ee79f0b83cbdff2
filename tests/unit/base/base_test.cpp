// Ids, rounding, checks.
#include <gtest/gtest.h>

#include <forkful/wait.hpp>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/ids.hpp"

namespace forkful::base {
namespace {

TEST(MemberId, keeps_its_slot_and_generation_apart) {
  for (const std::uint32_t slot : {1u, 2u, 0x7fffu}) {
    for (const std::uint32_t generation : {0u, 1u, 0xffffu}) {
      const MemberId id = MemberId::of(slot, generation);
      EXPECT_EQ(id.index(), slot);
      EXPECT_EQ(id.generation(), generation);
      EXPECT_TRUE(id);
    }
  }
  EXPECT_EQ(MemberId::of(1, 0x10002), MemberId::of(1, 2)) << "generations wrap";
  EXPECT_FALSE(MemberId{});
}

TEST(RoundUp, gives_the_next_multiple) {
  EXPECT_EQ(round_up(0, 8), 0u);
  EXPECT_EQ(round_up(1, 8), 8u);
  EXPECT_EQ(round_up(8, 8), 8u);
  EXPECT_EQ(round_up(9, 8), 16u);
}

TEST(CheckDeathTest, a_broken_invariant_ends_the_process_and_says_which) {
  EXPECT_DEATH(FORKFUL_CHECK(1 + 1 == 3), "broken invariant `1 \\+ 1 == 3`");
  FORKFUL_CHECK(true);
}

TEST(Deadline, says_what_it_is) {
  EXPECT_TRUE(Deadline::never().is_never());
  EXPECT_FALSE(Deadline::never().is_poll());
  EXPECT_TRUE(Deadline::poll().is_poll());
}

}  // namespace
}  // namespace forkful::base
