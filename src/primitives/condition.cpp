// Tickets and permits.
//
// Whoever enters takes the next ticket. A notification makes all tickets given out so far eligible
// (it moves a horizon past them) and adds permits; an eligible waiter that takes a permit is
// notified. So a waiter that comes later cannot take what was meant for those before it, and one
// that is killed leaves its chance to the others.
//
// While permits are left, nobody may become eligible beside those whom they are for. So there are
// two groups of eligible waiters, each with its permits, where some came after a notification that
// is not used up and before another one:
//
//   tickets   0 ... released ... older.horizon ... newer.horizon ... tickets
//               all go       older           newer             fresh
//
// Whoever is of the older group may take the permits of both. A third group is one too many; then
// all of the older one are released. That is one reason why a waiter may go whom no notification
// asked for; the other one is a waiter that was killed: it stays counted, so a permit may be left
// over.
//
// Invariant: permits <= waiters in each group, and of both together.
//
// Threads: any thread of any member.
#include <algorithm>
#include <forkful/bytes/condition.hpp>

#include "kernel/fault.hpp"
#include "primitives/change.hpp"
#include "sync/bell.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

struct Group {
  std::atomic<std::uint64_t> horizon;  // tickets below it, and of no group before, are of this one
  std::atomic<std::uint64_t> waiters;
  std::atomic<std::uint64_t> permits;  // for waiters below the horizon
};

struct ConditionWords {
  // Guards what follows; a notification stages eight words.
  arena::JournalWords<8> journal;
  std::atomic<std::uint64_t> tickets;   // given out so far
  std::atomic<std::uint64_t> released;  // tickets below it go
  std::atomic<std::uint64_t> fresh;     // waiters of no group
  Group older;
  Group newer;
  sync::Bell bell;
};
static_assert(sizeof(ConditionWords) == 224);

constexpr std::size_t kTickets = offsetof(ConditionWords, tickets);
constexpr std::size_t kReleased = offsetof(ConditionWords, released);
constexpr std::size_t kFresh = offsetof(ConditionWords, fresh);
constexpr std::size_t kOlder = offsetof(ConditionWords, older);
constexpr std::size_t kNewer = offsetof(ConditionWords, newer);

using Change = primitives::Change<ConditionWords>;

// Why: a ticket that is waited for twice must not turn a count into a huge one.
std::uint64_t less_one(std::uint64_t count) { return count > 0 ? count - 1 : 0; }

// What a group is while its words are worked on.
struct Counts {
  std::uint64_t horizon;
  std::uint64_t waiters;
  std::uint64_t permits;

  static Counts of(const Change& change, std::size_t group) {
    return {change.get(group + offsetof(Group, horizon)),
            change.get(group + offsetof(Group, waiters)),
            change.get(group + offsetof(Group, permits))};
  }
  void stage(Change& change, std::size_t group) const {
    change.set(group + offsetof(Group, horizon), horizon);
    change.set(group + offsetof(Group, waiters), waiters);
    change.set(group + offsetof(Group, permits), permits);
  }
};

struct Groups {
  Counts older;
  Counts newer;

  static Groups of(const Change& change) {
    return {Counts::of(change, kOlder), Counts::of(change, kNewer)};
  }
  void stage(Change& change) const {
    older.stage(change, kOlder);
    newer.stage(change, kNewer);
  }
  // The one of a ticket that is eligible.
  Counts& with(std::uint64_t ticket) { return ticket < older.horizon ? older : newer; }
  [[nodiscard]] std::uint64_t waiters() const { return older.waiters + newer.waiters; }
  [[nodiscard]] std::uint64_t permits() const { return older.permits + newer.permits; }
  // No more permits than waiters that may take them.
  void keep_possible() {
    older.permits = std::min(older.permits, older.waiters);
    newer.permits = std::min(newer.permits, older.waiters - older.permits + newer.waiters);
  }
};

bool take_permit(Change& change, std::uint64_t ticket) {
  if (ticket < change.get(kReleased)) return true;
  Groups groups = Groups::of(change);
  Counts& mine = groups.with(ticket);
  Counts& from = mine.permits != 0 ? mine : groups.newer;
  if (ticket >= groups.newer.horizon || from.permits == 0) return false;
  --from.permits;
  mine.waiters = less_one(mine.waiters);
  groups.stage(change);
  change.commit();
  FORKFUL_FAULT("condition.taken");
  return true;
}

bool try_take_permit(const arena::Held* held, std::uint64_t ticket) {
  Change change(held);
  return take_permit(change, ticket);
}

// Ends a wait without a notification. One that was meant for this waiter is another's, if another
// may have it: not where all go that it might have been for.
void leave(Change& change, std::uint64_t ticket) {
  if (ticket < change.get(kReleased)) return;
  Groups groups = Groups::of(change);
  if (ticket >= groups.newer.horizon) {
    change.set(kFresh, less_one(change.get(kFresh)));
  } else {
    Counts& mine = groups.with(ticket);
    mine.waiters = less_one(mine.waiters);
    groups.keep_possible();
    groups.stage(change);
  }
  change.commit();
  FORKFUL_FAULT("condition.left");
}

// Ends a wait that took too long. True when it was notified after all.
bool leave_late(const arena::Held* held, std::uint64_t ticket) {
  Change change(held);
  if (take_permit(change, ticket)) return true;
  leave(change, ticket);
  return false;
}

// Ends a wait that was interrupted; true when others may go. It takes no notification, since its
// caller answers with the interruption alone.
bool leave_interrupted(const arena::Held* held, std::uint64_t ticket) {
  Change change(held);
  leave(change, ticket);
  return Groups::of(change).permits() > 0;
}

// Stages the permits of a notification. Returns how many of `count` there are waiters for: whoever
// comes later must not find one.
std::uint64_t add_permits(Change& change, std::uint64_t count) {
  Groups groups = Groups::of(change);
  auto& [older, newer] = groups;
  const std::uint64_t fresh = change.get(kFresh);
  const std::uint64_t more = std::min(count, groups.waiters() + fresh - groups.permits());
  if (more == 0) return 0;
  if (older.permits == 0) {
    newer.waiters += older.waiters;
    older = {0, 0, 0};
  }
  if (newer.permits == 0 || fresh == 0) {
    newer = {change.get(kTickets), newer.waiters + fresh, newer.permits + more};
  } else {
    if (older.permits != 0) change.set(kReleased, older.horizon);
    older = newer;
    newer = {change.get(kTickets), fresh, more};
    groups.keep_possible();  // some of the permits were for those who are released
  }
  change.set(kFresh, 0);
  groups.stage(change);
  return more;
}

}  // namespace

RawCondition RawCondition::create(const Label& label) {
  return RawCondition(arena::create_object<ConditionWords>(arena::Kind::condition, label));
}

RawCondition RawCondition::adopt(Id id) {
  return RawCondition(arena::adopt_object<ConditionWords>(arena::Kind::condition, id));
}

std::uint64_t RawCondition::enter() const {
  Change change(held_);
  const std::uint64_t ticket = change.get(kTickets);
  change.set(kTickets, ticket + 1);
  change.set(kFresh, change.get(kFresh) + 1);
  change.commit();
  FORKFUL_FAULT("condition.entered");
  return ticket;
}

Waited RawCondition::wait(std::uint64_t ticket, Wait& wait) const {
  auto& words = held_->body<ConditionWords>();
  // Acquire: pairs with the commit in notify(). A hint; the permit is taken under the journal's
  // lock.
  const auto may_go = [&] {
    const auto has_permit = [&](const Group& group) {
      return group.permits.load(std::memory_order_acquire) != 0 &&
             ticket < group.horizon.load(std::memory_order_acquire);
    };
    return has_permit(words.newer) || has_permit(words.older) ||
           ticket < words.released.load(std::memory_order_acquire);
  };
  for (;;) {
    const Waited how = words.bell.under(words.journal.lock).wait(wait, held_->budget, may_go);
    if (how == Waited::timed_out) return leave_late(held_, ticket) ? Waited::done : how;
    if (how == Waited::interrupted) {
      if (leave_interrupted(held_, ticket)) words.bell.notify_all();
      return how;
    }
    if (try_take_permit(held_, ticket)) return Waited::done;
  }
}

std::uint32_t RawCondition::notify(std::uint32_t count) const {
  std::uint64_t more = 0;
  {
    Change change(held_);
    more = add_permits(change, count);
    if (more == 0) return 0;
    change.commit();
    FORKFUL_FAULT("condition.notified");
  }
  // All, since neither a spinner nor the first sleeper need be one that may go.
  held_->body<ConditionWords>().bell.notify_all();
  return static_cast<std::uint32_t>(more);
}

std::uint32_t RawCondition::waiters() const {
  const Change change(held_);
  const Groups groups = Groups::of(change);
  return static_cast<std::uint32_t>(groups.waiters() + change.get(kFresh) - groups.permits());
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
