// An event that members set, clear and wait for.
//
// What is checked: whoever waits returns when the event is set, also where it was cleared at once,
// and then sees what was done before; nobody sleeps while it is set.
#include "sync/event_word.hpp"

#include <new>

#include "protocols.hpp"

namespace forkful::schedules {
namespace {

using sync::EventWord;

constexpr std::uint32_t kMostRounds = 3;

struct Words {
  EventWord event;
  std::uint32_t round = 0;                // plain: what set() makes known
  std::atomic<std::uint32_t> waiting{0};  // how many have begun to wait, in all rounds
};
alignas(64) Words g_words;

// What the test knows beside it.
struct Truth {
  unsigned waiters = 0;
  std::uint32_t rounds = 0;
  bool may_die = false;
  bool gave_up = false;
};

// Tells, when the event has been looked at once and was not set. Release: pairs with the load in
// set_when_all_wait().
class Told final : public Wait {
 public:
  void before() noexcept override {
    has_waited = true;
    g_words.waiting.fetch_add(1, std::memory_order_release);
    (void)kernel::futex_wake(g_words.waiting, 1);
  }
  bool has_waited = false;
};

void set_when_all_wait(const Truth& truth) {
  for (std::uint32_t round = 1; round <= truth.rounds; ++round) {
    for (;;) {
      const std::uint32_t waiting = g_words.waiting.load(std::memory_order_acquire);
      if (waiting == round * truth.waiters) break;
      (void)kernel::futex_wait(g_words.waiting, waiting, kForever);
    }
    g_words.round = round;
    g_words.event.set();
    g_words.event.clear();
  }
}

void wait_in_rounds(Schedule& schedule, const Truth& truth) {
  sync::SpinBudget budget;
  for (std::uint32_t round = 1; round <= truth.rounds;) {
    Told wait;
    const Waited how = g_words.event.wait(wait, budget);
    schedule.expect(how == Waited::done, "a wait without an end has ended");
    if (!wait.has_waited) continue;  // the last round's set() is not cleared yet
    schedule.expect(g_words.round == round, "a waiter has seen too little, or too much");
    ++round;
  }
}

// One who sets it for good, maybe beside another one.
void set_once() { g_words.event.set(); }

void wait_once(Schedule& schedule, Truth& truth) {
  sync::SpinBudget budget;
  for (;;) {
    const bool soon = schedule.below(3) == 0;
    std::int64_t end_ns = kForever;
    if (soon) end_ns = schedule.now_ns() + schedule.soon_ns();
    if (!soon && truth.may_die) end_ns = schedule.now_ns() + kGivesUpNs;
    Wait wait(Deadline{end_ns});
    if (g_words.event.wait(wait, budget) == Waited::done) return;
    if (soon) continue;
    truth.gave_up = true;
    return;
  }
}

void run(Schedule& schedule) {
  new (&g_words) Words{};
  schedule.name(&g_words.event, "event");
  schedule.name(&g_words.round, "round");
  schedule.name(&g_words.waiting, "waiting");
  Truth truth;
  truth.waiters = 2 + schedule.below(2);
  const bool in_rounds = schedule.coin();
  if (in_rounds) {
    truth.rounds = 1 + schedule.below(kMostRounds);
    schedule.add([&] { set_when_all_wait(truth); });
  } else {
    truth.may_die = schedule.below(3) == 0;
    for (unsigned setters = 1 + schedule.below(2); setters != 0; --setters) schedule.add(set_once);
  }
  for (unsigned i = 0; i < truth.waiters; ++i) {
    schedule.add([&] { in_rounds ? wait_in_rounds(schedule, truth) : wait_once(schedule, truth); });
  }
  if (truth.may_die) schedule.may_die(schedule.below(schedule.members()), 30);
  schedule.run();
  if (truth.gave_up) schedule.expect(!g_words.event.is_set(), "a set event was overslept");
}

const Entered g_entered({"event_word", [] { share(&g_words, sizeof g_words); }, run});

}  // namespace
}  // namespace forkful::schedules
