// Parties that meet at a barrier, and makers and takers at a condition.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <forkful/barrier.hpp>
#include <forkful/bytes/condition.hpp>
#include <forkful/bytes/lock.hpp>
#include <string>
#include <thread>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "chaos/cast.hpp"
#include "chaos/storm.hpp"
#include "support/child.hpp"

namespace forkful::chaos {
namespace {

using bytes::RawCondition;
using bytes::RawLock;

constexpr std::uint32_t kStops = 15;  // in a hundred strikes

void rage(Storm& storm, Cast& cast) {
  while (storm.rages() && !testing::Test::HasFailure()) {
    const bool stop = storm.chance(kStops);
    const auto part = storm.draw(static_cast<std::uint32_t>(cast.size()));
    if (stop) {
      cast.stop(storm, part);
    } else {
      cast.replace(storm, part);
    }
  }
}

// --- a barrier ---

constexpr std::size_t kParties = 4;

struct Meetings {
  std::atomic<std::uint64_t> actions;
  std::atomic<std::uint64_t> broken;
  // By part: the life of the player that is in wait(), or died there; 0 when none is.
  std::array<std::atomic<std::uint32_t>, kParties> at_barrier;
};

// The last one to come finds everybody at the barrier; once the storm is over an abort() lets the
// others go while this still looks.
void look_round(Meetings& meetings, Actor& actor) {
  for (const auto& each : meetings.at_barrier) FORKFUL_MUST(each != 0 || actor.over());
  ++meetings.actions;
  actor.step();
}

void meet(const Barrier& barrier, Meetings& meetings, Actor& actor) {
  auto& here = meetings.at_barrier[actor.part()];
  while (!actor.over()) {
    const std::uint64_t before = meetings.actions;
    try {
      here = actor.life();
      barrier.wait([&] { look_round(meetings, actor); });
      FORKFUL_MUST(meetings.actions > before);  // nobody passes ahead of the last one
    } catch (const BrokenBarrier&) {
      ++meetings.broken;
      // One of them mends it, so that no reset breaks the meeting after it.
      if (actor.part() == 0 && !actor.over()) barrier.reset();
      if (actor.over()) barrier.abort();
      while (actor.part() != 0 && barrier.broken() && !actor.over()) std::this_thread::yield();
    }
    here = 0;
  }
}

TEST(BarrierStorm, lets_nobody_pass_early_and_nobody_wait_in_vain) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "many forks";
  auto& meetings = test::shared<Meetings>();
  {
    const Barrier first(1);
  }
  const std::uint64_t used = arena::check_heap();
  {
    const Barrier barrier(kParties);
    Cast cast(std::vector<Script>(kParties, [&](Actor& a) { meet(barrier, meetings, a); }));
    Storm storm("barrier", 250, [&] { return cast.steps(); });
    rage(storm, cast);
    cast.call_end();
    barrier.abort();
    cast.await_end(storm);
    storm.report("passes=" + std::to_string(meetings.actions) +
                 " broken=" + std::to_string(meetings.broken));
    EXPECT_GT(meetings.actions, 0u);
  }
  expect_flat_heap(used);
}

// --- a condition ---

constexpr std::size_t kMakers = 3;
constexpr std::size_t kTakers = 3;
constexpr std::uint64_t kMostTokens = 8;

// Of one word each, so that a death leaves no half change.
struct Tokens {
  std::atomic<std::uint64_t> made;
  std::atomic<std::uint64_t> taken;
  std::atomic<std::uint32_t> inside;
};

struct Market {
  RawLock lock = RawLock::create(bytes::OnOwnerDeath::recover);
  RawCondition not_empty = RawCondition::create();
  RawCondition not_full = RawCondition::create();
  Tokens& tokens = test::shared<Tokens>();

  void enter(Actor& actor) const {
    Wait forever;
    FORKFUL_MUST(lock.acquire(forever) == bytes::Acquired::yes);
    const std::uint32_t before = tokens.inside.exchange(actor.life());
    FORKFUL_MUST(before == 0 || actor.is_doomed(before));
  }
  void leave() const {
    tokens.inside = 0;
    FORKFUL_MUST(lock.release());
  }
  void wait(const RawCondition& condition, Actor& actor) const {
    const std::uint64_t ticket = condition.enter();
    leave();
    Wait forever;
    FORKFUL_MUST(condition.wait(ticket, forever) == Waited::done);
    enter(actor);
  }
  [[nodiscard]] std::uint64_t count() const { return tokens.made - tokens.taken; }
};

// Makes or takes a token at a time. Whoever takes a dead one's place notifies for it: a notifier or
// a waiter that dies may take a notification along.
void trade(const Market& market, Actor& actor) {
  const bool maker = actor.part() < kMakers;
  market.enter(actor);
  market.not_empty.notify_all();
  market.not_full.notify_all();
  while (!actor.over()) {
    const bool possible = maker ? market.count() < kMostTokens : market.count() > 0;
    if (!possible) {
      market.wait(maker ? market.not_full : market.not_empty, actor);
      continue;
    }
    ++(maker ? market.tokens.made : market.tokens.taken);
    FORKFUL_MUST(market.count() <= kMostTokens);
    (void)(maker ? market.not_empty : market.not_full).notify(1);
    actor.step();
    market.leave();
    market.enter(actor);
  }
  market.leave();
}

TEST(ConditionStorm, loses_no_token_and_leaves_nobody_asleep) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "many forks";
  {
    const Market first;
  }
  const std::uint64_t used = arena::check_heap();
  {
    const Market market;
    Cast cast(std::vector<Script>(kMakers + kTakers, [&](Actor& a) { trade(market, a); }));
    Storm storm("condition", 300, [&] { return cast.steps(); });
    rage(storm, cast);
    cast.call_end();
    Wait forever;
    ASSERT_EQ(market.lock.acquire(forever), bytes::Acquired::yes);
    market.not_empty.notify_all();
    market.not_full.notify_all();
    ASSERT_TRUE(market.lock.release());
    cast.await_end(storm);
    storm.report("made=" + std::to_string(market.tokens.made) +
                 " taken=" + std::to_string(market.tokens.taken));
    EXPECT_LE(market.tokens.taken, market.tokens.made);
  }
  expect_flat_heap(used);
}

}  // namespace
}  // namespace forkful::chaos
