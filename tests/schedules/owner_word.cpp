// A lock that knows its owner, between members that wait, give up, abandon it and die.
#include "sync/owner_word.hpp"

#include <new>

#include "protocols.hpp"

namespace forkful::schedules {
namespace {

using sync::Death;
using sync::Locked;
using sync::OwnerWord;

constexpr unsigned kFewestMembers = 3;
constexpr int kRounds = 2;

struct Words {
  OwnerWord lock;
  std::uint64_t counter = 0;  // plain: what the lock guards
};
alignas(64) Words g_words;

// What the test knows of the lock beside it.
struct Truth {
  int owner = -1;
  bool leaves = false;  // the owner is about to unlock it, or has done so
  bool abandoned = false;
  std::uint64_t sections = 0;
};

void enter(Schedule& schedule, Truth& truth, Locked how) {
  const int me = static_cast<int>(schedule.current());
  if (how == Locked::owner_died) {
    const bool dead = truth.owner >= 0 && schedule.has_died(static_cast<unsigned>(truth.owner));
    schedule.expect(truth.abandoned || dead, "taken over from one that lives");
  } else {
    schedule.expect(truth.owner == -1 || truth.leaves, "two own the lock");
    schedule.expect(!truth.abandoned, "nobody says that it was abandoned");
  }
  truth = {me, false, false, truth.sections + 1};
  ++g_words.counter;
}

void leave(Schedule& schedule, Truth& truth, bool abandon) {
  schedule.expect(truth.owner == static_cast<int>(schedule.current()), "an owner was lost");
  truth.leaves = true;
  truth.abandoned = abandon;
  if (abandon) {
    g_words.lock.abandon();
  } else {
    (void)g_words.lock.unlock();
  }
}

void work(Schedule& schedule, Truth& truth, bool may_abandon) {
  for (int round = 0; round < kRounds; ++round) {
    const std::uint32_t way = schedule.below(6);
    if (way == 0) {
      if (!g_words.lock.try_lock(sync::self())) continue;
      enter(schedule, truth, Locked::yes);
    } else {
      // Some give up soon, most do not.
      Wait wait(way < 3 ? Deadline{schedule.now_ns() + schedule.soon_ns()} : Deadline::never());
      const Locked how = g_words.lock.lock(sync::self(), wait, Death::take_over);
      if (how == Locked::timed_out) continue;
      enter(schedule, truth, how);
    }
    const bool abandon = may_abandon && schedule.below(8) == 0;
    leave(schedule, truth, abandon);
  }
}

void run(Schedule& schedule) {
  new (&g_words) Words{};
  schedule.name(&g_words.lock, "lock");
  schedule.name(&g_words.counter, "counter");
  Truth truth;
  const bool may_abandon = schedule.below(4) == 0;
  for (unsigned members = kFewestMembers + schedule.below(2); members != 0; --members) {
    schedule.add([&] { work(schedule, truth, may_abandon); });
  }
  if (schedule.below(3) == 0) schedule.may_die(schedule.below(schedule.members()), 30);
  schedule.run();
  schedule.expect(g_words.counter == truth.sections, "a section was lost");
  if (!schedule.anybody_died() && !may_abandon) {
    schedule.expect(!g_words.lock.owner(), "it is locked at the end");
  }
}

const Entered g_entered({"owner_word", [] { share(&g_words, sizeof g_words); }, run});

}  // namespace
}  // namespace forkful::schedules
