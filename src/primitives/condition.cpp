// Tickets and permits.
//
// Whoever enters takes the next ticket. A notification makes all tickets given out so far eligible
// (it moves the horizon past them) and adds permits; an eligible waiter that takes a permit is
// notified. So a waiter that comes later cannot take what was meant for those before it, and one
// that is killed leaves its chance to the others.
//
// Invariant: permits <= eligible. A waiter that was killed stays counted in `fresh` or `eligible`,
// so a permit may be left over, with which a later notify() wakes one more than it was asked to.
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

struct ConditionWords {
  // Guards what follows; a notification stages four words.
  arena::JournalWords<4> journal;
  std::atomic<std::uint64_t> tickets;   // given out so far
  std::atomic<std::uint64_t> horizon;   // tickets below it are eligible
  std::atomic<std::uint64_t> fresh;     // waiters whose tickets are not
  std::atomic<std::uint64_t> eligible;  // waiters whose tickets are
  std::atomic<std::uint64_t> permits;   // how many of these may go
  sync::Bell bell;
};
static_assert(sizeof(ConditionWords) == 128);

constexpr std::size_t kTickets = offsetof(ConditionWords, tickets);
constexpr std::size_t kHorizon = offsetof(ConditionWords, horizon);
constexpr std::size_t kFresh = offsetof(ConditionWords, fresh);
constexpr std::size_t kEligible = offsetof(ConditionWords, eligible);
constexpr std::size_t kPermits = offsetof(ConditionWords, permits);

using Change = primitives::Change<ConditionWords>;

// Why: a ticket that is waited for twice must not turn a count into a huge one.
std::uint64_t less_one(std::uint64_t count) { return count > 0 ? count - 1 : 0; }

bool take_permit(Change& change, std::uint64_t ticket) {
  if (ticket >= change.get(kHorizon) || change.get(kPermits) == 0) return false;
  change.set(kPermits, change.get(kPermits) - 1);
  change.set(kEligible, less_one(change.get(kEligible)));
  change.commit();
  FORKFUL_FAULT("condition.taken");
  return true;
}

bool try_take_permit(const arena::Held* held, std::uint64_t ticket) {
  Change change(held);
  return take_permit(change, ticket);
}

// Ends a wait without a notification. One that was meant for this waiter is another's, if another
// may have it.
void leave(Change& change, std::uint64_t ticket) {
  const std::size_t counted = ticket < change.get(kHorizon) ? kEligible : kFresh;
  change.set(counted, less_one(change.get(counted)));
  change.set(kPermits, std::min(change.get(kPermits), change.get(kEligible)));
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
  return change.get(kPermits) > 0;
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
    return words.permits.load(std::memory_order_acquire) != 0 &&
           ticket < words.horizon.load(std::memory_order_acquire);
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
    const std::uint64_t eligible = change.get(kEligible) + change.get(kFresh);
    // No more permits than waiters: whoever comes later must not find one.
    const std::uint64_t permits = std::min(eligible, change.get(kPermits) + count);
    more = permits - change.get(kPermits);
    if (more == 0) return 0;
    change.set(kEligible, eligible);
    change.set(kFresh, 0);
    change.set(kHorizon, change.get(kTickets));
    change.set(kPermits, permits);
    change.commit();
    FORKFUL_FAULT("condition.notified");
  }
  // All, since neither a spinner nor the first sleeper need be one that may go.
  held_->body<ConditionWords>().bell.notify_all();
  return static_cast<std::uint32_t>(more);
}

std::uint32_t RawCondition::waiters() const {
  const Change change(held_);
  return static_cast<std::uint32_t>(change.get(kFresh) + change.get(kEligible) -
                                    change.get(kPermits));
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
