// Deaths between an invitation and the first line of the child's function, on either side.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <forkful/bytes/family.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <forkful/value.hpp>
#include <string>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"
#include "unit/process/actor.hpp"

namespace forkful::test {
namespace {

constexpr std::uint64_t kMuch = 1 << 19;  // of the heap

class StartDeaths : public testing::TestWithParam<Context> {
 protected:
  StartDeaths() { arena::join_family(); }
  [[nodiscard]] ProcessOptions options() const { return {.context = GetParam()}; }
};
INSTANTIATE_TEST_SUITE_P(, StartDeaths, testing::ValuesIn(kContexts), name_of);

// A family of its own, whose children all have the fault, a server's too.
const Cast g_dies_as_it_begins("dies as it begins", [](Context context) {
  ::setenv("FORKFUL_FAULTS", "start.accepted:kill", 1);
  Queue<int> queue;
  const std::string given(2 * kMuch, 'x');
  std::uint64_t used = 0;
  for (int i = 0; i < 4; ++i) {
    Process child(
        {.context = context}, [](Queue<int>& to, const std::string& text) { to.put(text.size()); },
        queue, given);
    child.join();
    const std::uint64_t uses = bytes::heap_use().bytes_used;
    const bool gone = arena::children_of(sync::self()).empty() && (i == 0 || uses < used + kMuch);
    if (i == 0) used = uses;
    say(std::to_string(child.exit_code().value_or(0)) + (gone ? " gone" : " has left something"));
  }
  say(std::to_string(queue.size()));
  return 0;
});

TEST_P(StartDeaths, a_child_that_is_killed_before_it_runs_anything_leaves_nothing) {
  Actor actor("dies as it begins", GetParam());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(actor.line(), "-9 gone");
  EXPECT_EQ(actor.line(), "0");
  EXPECT_EQ(actor.wait(), 0);
}

TEST_P(StartDeaths,
       what_a_child_was_to_get_is_given_back_when_its_starter_is_killed_before_the_start) {
  constexpr std::int64_t kLongerThanAClaimTakes = 60'000'000'000;
  const std::uint64_t used = bytes::heap_use().bytes_used;
  Child starter = fork_child([&] {
    const Value<int> given(7);
    die_at("start.invited");
    const Process never(
        options(), [](const Value<int>&, const std::string&) {}, given,
        std::string(2 * kMuch, 'x'));
    must(false, "passed the fault point");
  });
  const base::MemberId dead = starter.member();
  EXPECT_EQ(starter.wait_without_reaping(), -SIGKILL);
  const std::vector<base::MemberId> places = arena::children_of(dead);
  ASSERT_EQ(places.size(), 1u);
  arena::process_ended(dead);
  // Somebody might be on the way still.
  EXPECT_EQ(arena::end_of(places[0]), arena::End::alive);
  arena::member(places[0]).seen_at_ns.fetch_sub(kLongerThanAClaimTakes);
  for (std::uint32_t i = 0; i < arena::entries_used(); ++i) arena::try_sweep();
  EXPECT_EQ(arena::end_of(places[0]), arena::End::died);
  EXPECT_LT(bytes::heap_use().bytes_used, used + kMuch);
}

}  // namespace
}  // namespace forkful::test
