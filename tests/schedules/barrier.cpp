// A barrier in a real arena: members that meet in rounds, wait too short, give up and die, and one
// that aborts or resets.
//
// What is checked: a round ends the same way for all of its parties; where it is passed, as many as
// there should be have come, each once, and all see what was done before and by the last one;
// nobody waits for one that has come and died, nobody passes with one, and nobody oversleeps an
// end.
#include <forkful/bytes/barrier.hpp>
#include <map>
#include <new>

#include "arena.hpp"
#include "protocols.hpp"

namespace forkful::schedules {
namespace {

using bytes::RawBarrier;
using Arrival = RawBarrier::Arrival;
using Passed = RawBarrier::Passed;

constexpr std::uint32_t kMostRounds = 3;  // of a member
constexpr std::uint32_t kMostEnded = 16;  // rounds in all, with those that are reset
constexpr std::int64_t kPartiesLookedAtNs = 3'000'000'000;  // long enough to look at each party

struct Words {
  std::uint32_t came[kMostThreads][kMostRounds];  // plain: what each has done before a round
  std::uint32_t acted[kMostEnded];                // plain: what the last one has done in a round
  std::atomic<std::uint32_t> steps;               // of what the last one does
};
alignas(64) Words g_words;

enum class Breaks { nobody, gives_up, aborts, resets, dies };

// What the test knows beside it.
struct Truth {
  struct Ended {
    std::uint32_t passed = 0;
    std::uint32_t broken = 0;
    std::uint32_t last = 0;
    std::uint32_t indices = 0;  // a bit each
  };
  std::uint32_t parties = 0;
  std::uint32_t rounds = 0;  // of each member
  Breaks breaks = Breaks::nobody;
  std::map<std::uint64_t, Ended> ended;
  std::map<unsigned, std::uint64_t> came;  // to which round, by member
};

// Whether one who has surely come to that round has died.
bool has_died_in(Schedule& schedule, const Truth& truth, std::uint64_t round) {
  for (const auto& [who, where] : truth.came) {
    if (where == round && schedule.has_died(who)) return true;
  }
  return false;
}

std::int64_t end_of_wait(Schedule& schedule, const Truth& truth, bool soon) {
  if (soon) return schedule.now_ns() + schedule.soon_ns();
  return truth.breaks == Breaks::dies ? schedule.now_ns() + kPartiesLookedAtNs : kForever;
}

Passed arrive(Schedule& schedule, Truth& truth, const RawBarrier& barrier, Arrival& arrival) {
  for (;;) {
    const auto came = truth.came;
    const bool died = schedule.anybody_died();
    const bool soon = schedule.below(4) == 0;
    Wait wait(Deadline{end_of_wait(schedule, truth, soon)});
    const Passed how = barrier.arrive(arrival, wait);
    if (how == Passed::timed_out && soon) continue;
    schedule.expect(how == Passed::yes || how == Passed::broken,
                    "one has waited for a round that nobody ends");
    if (how == Passed::yes && arrival.last && died) {
      for (const auto& [who, where] : came) {
        schedule.expect(where != arrival.round || !schedule.has_died(who),
                        "one that has died was counted");
      }
    }
    return how;
  }
}

Passed wait(Schedule& schedule, const Truth& truth, const RawBarrier& barrier,
            const Arrival& arrival) {
  for (;;) {
    const bool soon = schedule.below(4) == 0;
    Wait wait(Deadline{end_of_wait(schedule, truth, soon)});
    const Passed how = barrier.wait(arrival, wait);
    if (how != Passed::timed_out) return how;
    if (soon && truth.breaks != Breaks::gives_up) continue;
    if (!soon) {
      schedule.expect(!has_died_in(schedule, truth, arrival.round), "one has waited for the dead");
    }
    const Passed at_last = barrier.give_up(arrival);
    schedule.expect(soon || at_last != Passed::yes, "the end of a round was overslept");
    return at_last;
  }
}

// What the last one does before it lets the others go.
void act(Schedule& schedule, const Arrival& arrival) {
  schedule.expect(arrival.round < kMostEnded, "too many rounds");
  ++g_words.acted[arrival.round];
  for (std::uint32_t i = schedule.below(4); i != 0; --i) {
    g_words.steps.fetch_add(1, std::memory_order_relaxed);
  }
}

Passed meet(Schedule& schedule, Truth& truth, const RawBarrier& barrier) {
  Arrival arrival;
  Passed how = arrive(schedule, truth, barrier, arrival);
  if (how == Passed::yes) {
    truth.came[schedule.current()] = arrival.round;
    Truth::Ended& ended = truth.ended[arrival.round];
    schedule.expect((ended.indices & 1u << arrival.index) == 0, "two have come as one");
    ended.indices |= 1u << arrival.index;
    if (arrival.last) {
      schedule.expect(++ended.last == 1, "two are the last one");
      act(schedule, arrival);
      how = barrier.release(arrival) ? Passed::yes : Passed::broken;
    } else {
      how = wait(schedule, truth, barrier, arrival);
    }
    truth.came.erase(schedule.current());
  }
  Truth::Ended& ended = truth.ended[arrival.round];
  ++(how == Passed::yes ? ended.passed : ended.broken);
  schedule.expect(ended.passed == 0 || ended.broken == 0, "a round has ended in two ways");
  if (how == Passed::yes) {
    schedule.expect(g_words.acted[arrival.round] == 1, "one has seen too little of the last one");
  }
  return how;
}

// A reset is for those who have come; where nothing else breaks it, all come again.
void meet_in_rounds(Schedule& schedule, Truth& truth, const RawBarrier& barrier, unsigned who,
                    unsigned members) {
  for (std::uint32_t round = 0; round < truth.rounds;) {
    g_words.came[who][round] = 1;
    if (meet(schedule, truth, barrier) != Passed::yes) {
      schedule.expect(truth.breaks != Breaks::nobody, "a round has broken");
      if (truth.breaks != Breaks::resets) return;
      continue;
    }
    if (truth.parties == members) {
      for (unsigned other = 0; other < members; ++other) {
        schedule.expect(g_words.came[other][round] == 1, "one has passed before all had come");
      }
    }
    ++round;
  }
}

void disturb(Schedule& schedule, const Truth& truth, const RawBarrier& barrier) {
  for (std::uint32_t i = schedule.below(12); i != 0; --i) {
    g_words.steps.fetch_add(1, std::memory_order_relaxed);
  }
  for (std::uint32_t i = 1 + schedule.below(2); i != 0; --i) {
    truth.breaks == Breaks::aborts ? barrier.abort() : barrier.reset();
  }
}

void run(Schedule& schedule) {
  new (&g_words) Words{};
  Truth truth;
  unsigned members = 2 + schedule.below(2);
  truth.parties = members;
  truth.rounds = 1 + schedule.below(kMostRounds);
  if (schedule.below(3) == 0) {
    // More members than parties, so that some come while others act.
    truth.parties = 1 + schedule.below(2);
    members = 4;
    if (truth.parties == 2) truth.rounds = 1;
  }
  truth.breaks = schedule.below(3) == 0 ? Breaks::nobody : static_cast<Breaks>(schedule.below(5));
  const RawBarrier barrier = RawBarrier::create(truth.parties);
  schedule.name(&g_words, "done");
  schedule.name(arena::at(barrier.id().offset), "barrier");
  if (schedule.coin()) schedule.spin();
  for (unsigned who = 0; who < members; ++who) {
    schedule.add([&, who] { meet_in_rounds(schedule, truth, barrier, who, members); });
  }
  if (truth.breaks == Breaks::aborts || truth.breaks == Breaks::resets) {
    schedule.add([&] { disturb(schedule, truth, barrier); });
  }
  if (truth.breaks == Breaks::dies) schedule.may_die(schedule.below(members), 60);
  schedule.run();
  for (const auto& [round, ended] : truth.ended) {
    schedule.expect(ended.passed <= truth.parties, "too many have passed");
    if (ended.passed == 0 || schedule.anybody_died()) continue;
    schedule.expect(ended.passed == truth.parties, "too few have passed");
  }
  repair_arena();
}

void begin() {
  share(&g_words, sizeof g_words);
  const RawBarrier first = RawBarrier::create(1);  // which makes the arena
  share_arena();
}

const Entered g_entered({"barrier", begin, run});

}  // namespace
}  // namespace forkful::schedules
