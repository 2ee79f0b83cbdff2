// A condition in a real arena: members that enter and wait, give up, are interrupted and die, and
// others that notify.
//
// What is checked: a notification wakes as many as it says, of those who had entered before it, and
// nobody who came later takes the place of one of these; none is swallowed by a waiter that leaves;
// nobody oversleeps one; whoever is notified sees what was done before.
#include <forkful/bytes/condition.hpp>
#include <limits>
#include <new>
#include <vector>

#include "arena.hpp"
#include "protocols.hpp"

namespace forkful::schedules {
namespace {

using bytes::RawCondition;
using sync::OwnerWord;

constexpr std::uint32_t kMostRounds = 2;
constexpr std::int64_t kLookNs = 5'000'000;  // how often one looks whether somebody has died

struct Words {
  OwnerWord lock;                    // the caller's, around enter() and notify()
  std::atomic<std::uint32_t> calls;  // counts what whoever notifies waits for
  std::uint32_t news;                // plain: what a notification makes known
};
alignas(64) Words g_words;

// What the test knows beside it.
struct Truth {
  struct Notification {
    std::uint64_t tickets;  // given out before it
    std::uint32_t woken;
  };
  std::uint32_t to_give = 0;
  std::uint64_t tickets = 0;
  std::uint32_t endless = 0;  // have entered to wait until they are notified
  std::uint32_t notified = 0;
  std::vector<Notification> notifications;
  std::vector<std::uint64_t> done;  // tickets
  std::uint32_t left = 0;           // without a notification, for good
  std::uint32_t running = 0;        // members that wait in rounds
  bool crowded = false;             // two notifications may not have been used up when a third came
  bool may_die = false;
  unsigned notifier = 0;     // where there is one only
  std::int64_t late_ns = 0;  // when the first one left whose patience was over
};

enum class Kind { patient, impatient, nervous };

class Patience final : public Wait {
 public:
  Patience(Schedule& schedule, Kind kind, std::int64_t end_ns)
      : Wait(Deadline{end_ns}), schedule_(schedule), kind_(kind) {}
  bool interrupted(bool) noexcept override { return kind_ == Kind::nervous && schedule_.coin(); }

 private:
  Schedule& schedule_;
  Kind kind_;
};

class Section {
 public:
  Section() {
    Wait wait;
    (void)g_words.lock.lock(sync::self(), wait, sync::Death::take_over);
  }
  ~Section() { g_words.lock.unlock(); }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;
};

void tell() {
  g_words.calls.fetch_add(1, std::memory_order_release);
  (void)kernel::futex_wake(g_words.calls, std::numeric_limits<int>::max());
}

Waited wait_once(Schedule& schedule, Truth& truth, const RawCondition& condition, Kind kind) {
  std::uint64_t ticket = 0;
  {
    const Section section;
    ticket = condition.enter();
    ++truth.tickets;
    if (kind == Kind::patient) ++truth.endless;
  }
  tell();
  std::int64_t end_ns = kForever;
  if (truth.may_die) end_ns = schedule.now_ns() + kGivesUpNs * (schedule.coin() ? 2 : 1);
  if (kind == Kind::impatient) end_ns = schedule.now_ns() + schedule.soon_ns();
  Patience wait(schedule, kind, end_ns);
  const Waited how = condition.wait(ticket, wait);
  if (how == Waited::done) truth.done.push_back(ticket);
  if (kind != Kind::impatient && schedule.now_ns() >= end_ns) {
    // One who dies as it notifies has done so when somebody next has the journal: maybe one who
    // leaves. The others find that by their own looks.
    const bool first = truth.late_ns == 0 || schedule.now_ns() < truth.late_ns + kGivesUpNs / 2;
    if (truth.late_ns == 0) truth.late_ns = schedule.now_ns();
    const bool unseen = first && schedule.has_died(truth.notifier);
    schedule.expect(how != Waited::done || unseen, "a notification was overslept");
  }
  return how;
}

std::uint32_t notify(Schedule& schedule, Truth& truth, const RawCondition& condition,
                     std::uint32_t count) {
  if (truth.notified - truth.done.size() >= 2) truth.crowded = true;
  const std::uint32_t woken = condition.notify(count);
  const std::uint32_t least = truth.endless > truth.notified ? truth.endless - truth.notified : 0;
  schedule.expect(woken <= count, "more were notified than should be");
  // Where there would be three groups, some of the oldest have gone without a notification.
  schedule.expect(truth.may_die || truth.crowded || woken >= std::min(count, least),
                  "a waiter was not notified");
  truth.notified += woken;
  truth.notifications.push_back({truth.tickets, woken});
  return woken;
}

// Until what others count is no longer `seen`, or for a moment where somebody may have died.
void await_news(Schedule& schedule, const Truth& truth, std::uint32_t seen) {
  const std::int64_t end_ns = truth.may_die ? schedule.now_ns() + kLookNs : kForever;
  (void)kernel::futex_wait(g_words.calls, seen, end_ns);
}

// --- members that wait again and again, for as many notifications as there are ---

void wait_in_rounds(Schedule& schedule, Truth& truth, const RawCondition& condition,
                    std::uint32_t rounds) {
  while (rounds != 0) {
    const Kind kind = schedule.below(4) == 0 ? Kind::impatient : Kind::patient;
    if (wait_once(schedule, truth, condition, kind) == Waited::done) --rounds;
  }
  --truth.running;
  tell();
}

void notify_in_rounds(Schedule& schedule, Truth& truth, const RawCondition& condition) {
  for (;;) {
    const std::uint32_t seen = g_words.calls.load(std::memory_order_acquire);
    std::uint32_t woken = 0;
    {
      const Section section;
      if (truth.to_give == 0 || truth.running == 0) break;
      const std::uint32_t count = 1 + schedule.below(std::min(truth.to_give, 2u));
      woken = notify(schedule, truth, condition, count);
      truth.to_give -= woken;
    }
    if (woken == 0) await_news(schedule, truth, seen);
  }
  tell();
}

// What was notified was meant for those before it, so whoever came later had a later one.
void check_order(Schedule& schedule, const Truth& truth) {
  for (const Truth::Notification& first : truth.notifications) {
    std::uint32_t done = 0;
    std::uint32_t notified = 0;
    for (const std::uint64_t ticket : truth.done) done += ticket >= first.tickets ? 1 : 0;
    for (const auto& each : truth.notifications) {
      if (each.tickets > first.tickets) notified += each.woken;
    }
    schedule.expect(done <= notified, "one who came later took the notification of another");
  }
}

void run_rounds(Schedule& schedule, Truth& truth, const RawCondition& condition) {
  const std::uint32_t most = 1 + schedule.below(kMostRounds);
  truth.running = 2 + schedule.below(3);
  for (unsigned waiters = truth.running; waiters != 0; --waiters) {
    const std::uint32_t rounds = 1 + schedule.below(most);
    truth.to_give += rounds;
    schedule.add([&, rounds] { wait_in_rounds(schedule, truth, condition, rounds); });
  }
  const std::uint32_t all = truth.to_give;
  for (unsigned notifiers = 1 + schedule.below(2); notifiers != 0; --notifiers) {
    schedule.add([&] { notify_in_rounds(schedule, truth, condition); });
  }
  schedule.run();
  schedule.expect(condition.waiters() == 0, "somebody is counted who has left");
  schedule.expect(truth.done.size() == all, "a notification was lost");
  // Where there would be three groups, the oldest goes.
  if (truth.crowded) return;
  schedule.expect(truth.notified == all, "somebody was woken without a notification");
  check_order(schedule, truth);
}

// --- members that wait once, some of whom leave, and one who notifies some and then all ---

void wait_and_leave(Schedule& schedule, Truth& truth, const RawCondition& condition, Kind kind) {
  if (wait_once(schedule, truth, condition, kind) == Waited::done) {
    schedule.expect(g_words.news == 1, "a waiter has seen too little");
  } else {
    schedule.expect(kind != Kind::patient || truth.may_die, "a wait without an end has ended");
    ++truth.left;
  }
  tell();
}

// `some`: no more than those who surely stay.
void notify_some_then_all(Schedule& schedule, Truth& truth, const RawCondition& condition,
                          std::uint32_t waiters, std::uint32_t some) {
  const auto await = [&](auto&& reached) {
    for (const std::int64_t end_ns = schedule.now_ns() + kGivesUpNs;;) {
      const std::uint32_t seen = g_words.calls.load(std::memory_order_acquire);
      if (reached()) return;
      schedule.expect(schedule.now_ns() < end_ns, "a notification was lost");
      await_news(schedule, truth, seen);
    }
  };
  const auto dead = [&] { return schedule.anybody_died() ? 1u : 0u; };
  await([&] { return truth.tickets + dead() >= waiters; });
  {
    const Section section;
    g_words.news = 1;
    const std::uint32_t woken = notify(schedule, truth, condition, some);
    schedule.expect(woken == some, "a waiter was not notified");
  }
  // One that dies takes what it has got, and nothing else.
  await([&] { return truth.done.size() + dead() >= some; });
  const Section section;
  schedule.expect(truth.done.size() <= some, "too many were woken");
  (void)notify(schedule, truth, condition, waiters);
}

void run_leaving(Schedule& schedule, Truth& truth, const RawCondition& condition) {
  std::uint32_t patient = 0;
  const std::uint32_t waiters = 3 + schedule.below(3);
  truth.may_die = schedule.below(3) == 0;
  for (std::uint32_t i = 0; i < waiters; ++i) {
    // Two at least stay, whom nothing disturbs: one that dies, and one to be notified.
    const Kind kind = i < 2 ? Kind::patient : static_cast<Kind>(schedule.below(3));
    if (kind == Kind::patient) ++patient;
    schedule.add([&, kind] { wait_and_leave(schedule, truth, condition, kind); });
  }
  const std::uint32_t sure = patient - (truth.may_die ? 1 : 0);
  const std::uint32_t some = 1 + schedule.below(sure);
  truth.notifier =
      schedule.add([&, some] { notify_some_then_all(schedule, truth, condition, waiters, some); });
  if (truth.may_die) schedule.may_die(schedule.below(schedule.members()), 60);
  schedule.run();
  if (!schedule.anybody_died()) {
    schedule.expect(truth.done.size() + truth.left == waiters, "somebody is missing");
    schedule.expect(condition.waiters() == 0, "somebody is counted who has left");
  }
}

// --- members that wait, and others that come between two notifications ---

void run_two_groups(Schedule& schedule, Truth& truth, const RawCondition& condition) {
  const std::uint32_t early = 1 + schedule.below(2);
  const std::uint32_t late = 2 + schedule.below(2);
  const std::uint32_t first = 1 + schedule.below(early);
  const std::uint32_t second = 1 + schedule.below(late - 1);
  const auto await = [](auto&& reached) {
    for (;;) {
      const std::uint32_t seen = g_words.calls.load(std::memory_order_acquire);
      if (reached()) return;
      (void)kernel::futex_wait(g_words.calls, seen, kForever);
    }
  };
  const auto wait_in_turn = [&, await](bool comes_late) {
    if (comes_late) await([&] { return truth.notified != 0; });
    (void)wait_once(schedule, truth, condition, Kind::patient);
    tell();
  };
  for (std::uint32_t i = 0; i < early + late; ++i) {
    schedule.add([&, i, wait_in_turn] { wait_in_turn(i >= early); });
  }
  schedule.add([&, await] {
    const auto notify_all_at = [&](std::uint32_t tickets, std::uint32_t count) {
      await([&] { return truth.tickets == tickets; });
      {
        const Section section;
        schedule.expect(notify(schedule, truth, condition, count) == count,
                        "a waiter was not notified");
      }
      tell();
    };
    notify_all_at(early, first);
    notify_all_at(early + late, second);
    await([&] { return truth.done.size() >= first + second; });
    check_order(schedule, truth);
    notify_all_at(early + late, early + late - first - second);
  });
  schedule.run();
  schedule.expect(truth.done.size() == early + late, "somebody is missing");
  schedule.expect(condition.waiters() == 0, "somebody is counted who has left");
}

void run(Schedule& schedule) {
  new (&g_words) Words{};
  const RawCondition condition = RawCondition::create();
  schedule.name(&g_words.lock, "lock");
  schedule.name(&g_words.calls, "calls");
  schedule.name(&g_words.news, "news");
  schedule.name(arena::at(condition.id().offset), "condition");
  if (schedule.coin()) schedule.spin();
  Truth truth;
  constexpr void (*kKinds[])(Schedule&, Truth&, const RawCondition&) = {run_rounds, run_leaving,
                                                                        run_two_groups};
  kKinds[schedule.below(3)](schedule, truth, condition);
  repair_arena();
}

void begin() {
  share(&g_words, sizeof g_words);
  const RawCondition first = RawCondition::create();  // which makes the arena
  share_arena();
}

const Entered g_entered({"condition", begin, run});

}  // namespace
}  // namespace forkful::schedules
