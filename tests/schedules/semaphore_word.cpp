// A semaphore between members that take permits and give them back, give up, are interrupted and
// die.
//
// What is checked: no more members have a permit than there are, whoever gets one sees what was
// done before it was given back, none is lost, and nobody sleeps while one is there.
#include "sync/semaphore_word.hpp"

#include <new>

#include "protocols.hpp"

namespace forkful::schedules {
namespace {

using sync::SemaphoreWord;

constexpr std::uint32_t kMostPermits = 3;
constexpr std::uint32_t kNoLimit = 1000;
constexpr int kMostRounds = 2;

struct Words {
  SemaphoreWord semaphore{0};
  std::uint64_t counter = 0;  // plain: what one permit alone guards
};
alignas(64) Words g_words;

// What the test knows beside it.
struct Truth {
  std::uint32_t permits = 0;  // that there are, in all
  std::uint32_t inside = 0;   // members that have one
  std::uint64_t sections = 0;
  bool may_die = false;
  bool gave_up = false;
};

// Interrupted now and then, where the schedule says so.
class Nervous final : public Wait {
 public:
  Nervous(Schedule& schedule, Deadline until) : Wait(until), schedule_(schedule) {}
  bool interrupted(bool) noexcept override { return schedule_.below(2) == 0; }

 private:
  Schedule& schedule_;
};

bool acquire(Schedule& schedule, Truth& truth, sync::SpinBudget& budget) {
  std::int64_t gives_up_ns = kForever;
  if (truth.may_die) gives_up_ns = schedule.now_ns() + kGivesUpNs;
  for (;;) {
    const bool soon = schedule.below(4) == 0;
    const std::int64_t soon_ns = schedule.now_ns() + schedule.soon_ns();
    Nervous wait(schedule, Deadline{soon ? soon_ns : gives_up_ns});
    const Waited how = g_words.semaphore.acquire(wait, budget);
    if (how == Waited::done) return true;
    if (how == Waited::interrupted || soon) continue;
    truth.gave_up = true;
    return false;
  }
}

// Members that share the permits.
void take_turns(Schedule& schedule, Truth& truth, int rounds) {
  sync::SpinBudget budget;
  for (; rounds != 0 && acquire(schedule, truth, budget); --rounds) {
    ++truth.sections;
    schedule.expect(++truth.inside <= truth.permits || truth.may_die, "too many have a permit");
    if (truth.permits == 1) ++g_words.counter;
    --truth.inside;
    schedule.expect(g_words.semaphore.release(truth.permits), "more permits than there are");
  }
}

// Members that get what others give.
void give(Schedule& schedule, std::uint32_t permits) {
  for (; permits != 0; --permits) {
    schedule.expect(g_words.semaphore.release(kNoLimit), "no room for a permit");
  }
}

void run(Schedule& schedule) {
  const bool turns = schedule.coin();
  Truth truth;
  truth.may_die = schedule.below(4) == 0;
  if (schedule.coin()) schedule.spin();
  if (turns) {
    truth.permits = 1 + schedule.below(2);
    for (unsigned members = 3 + schedule.below(2); members != 0; --members) {
      const int rounds = 1 + static_cast<int>(schedule.below(kMostRounds));
      schedule.add([&, rounds] { take_turns(schedule, truth, rounds); });
    }
  } else {
    for (unsigned givers = 1 + schedule.below(2); givers != 0; --givers) {
      const std::uint32_t permits = 1 + schedule.below(kMostPermits);
      schedule.add([&, permits] { give(schedule, permits); });
      for (std::uint32_t i = 0; i < permits && schedule.members() < kMostThreads - 1; ++i) {
        schedule.add([&] {
          sync::SpinBudget budget;
          if (acquire(schedule, truth, budget)) ++truth.sections;
        });
      }
    }
  }
  new (&g_words) Words{SemaphoreWord(truth.permits)};
  schedule.name(&g_words.semaphore, "semaphore");
  schedule.name(&g_words.counter, "counter");
  if (truth.may_die) schedule.may_die(schedule.below(schedule.members()), 30);
  schedule.run();
  if (turns && !schedule.anybody_died()) {
    schedule.expect(g_words.semaphore.value() == truth.permits, "a permit was lost");
    if (truth.permits == 1)
      schedule.expect(g_words.counter == truth.sections, "a section was lost");
  }
  if (truth.gave_up) schedule.expect(g_words.semaphore.value() == 0, "a permit was overslept");
}

const Entered g_entered({"semaphore_word", [] { share(&g_words, sizeof g_words); }, run});

}  // namespace
}  // namespace forkful::schedules
