// Rounds of arrivals.
//
//   open ──last arrives──► acting ──release──► open, next round
//     └────────────┴─────────break───► broken ──reset──► open, next round
//
// A waiter knows its round by number. The current round moves on without waiting for those of the
// last one to leave, so one that was killed or stopped on its way out holds nobody up. Whoever
// comes late finds how its round ended by the list of those that ended broken: they are few,
// however many rounds there have been.
//
// Threads: any thread of any member. A party that is killed is found by those that wait (see
// Watch), and breaks the round; one that is killed within a change leaves the change whole or not
// made.
#include <forkful/bytes/barrier.hpp>
#include <stdexcept>
#include <string>

#include "kernel/fault.hpp"
#include "primitives/change.hpp"
#include "sync/bell.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

// kActing: all have arrived, and the last one runs the action.
enum State : std::uint64_t { kOpen, kActing, kBroken };

// A party is a thread that waits, and Linux has no more of them (PID_MAX_LIMIT).
constexpr std::uint32_t kMostParties = 1u << 22;

// A guess: broken rounds in a row that a waiter may oversleep and still know how its own ended.
constexpr std::size_t kBrokenNoted = 32;

struct BarrierWords {
  arena::JournalWords<4> journal;  // guards what follows; the end of a round stages four words
  std::atomic<std::uint64_t> round;
  std::atomic<std::uint64_t> state;
  std::atomic<std::uint64_t> arrived;  // in this round
  std::uint64_t broken[kBrokenNoted];  // the last rounds that ended so, each plus one; or 0
  std::uint32_t parties;
  sync::Bell bell;
};
static_assert(sizeof(BarrierWords) == 368);
// After it: a word for each party, the member that arrived as this one.

constexpr std::size_t kRound = offsetof(BarrierWords, round);
constexpr std::size_t kState = offsetof(BarrierWords, state);
constexpr std::size_t kArrived = offsetof(BarrierWords, arrived);
constexpr std::size_t broken_field(std::size_t index) {
  return offsetof(BarrierWords, broken) + index * sizeof(std::uint64_t);
}
constexpr std::size_t party_field(std::uint64_t index) {
  return sizeof(BarrierWords) + index * sizeof(std::uint64_t);
}

using Change = primitives::Change<BarrierWords>;
using Passed = RawBarrier::Passed;

BarrierWords& words_of(const arena::Held* held) { return held->body<BarrierWords>(); }

// How many parties the object has room for, whatever its words say by now.
std::uint64_t most_parties(const arena::Held* held) {
  return (held->bytes - arena::Held::body_at<BarrierWords>() - sizeof(BarrierWords)) /
         sizeof(std::uint64_t);
}
// Throws: Error, where that is more than there can be.
std::uint64_t arrived_at(const Change& change, const arena::Held* held) {
  const std::uint64_t arrived = change.get(kArrived);
  if (arrived > most_parties(held)) arena::damaged();
  return arrived;
}

// Which member arrived as this one. Acquire: pairs with the commit in try_arrive(), though all
// callers have the journal's lock as well.
sync::MemberId party(const arena::Held* held, std::uint64_t index) {
  auto* parties = reinterpret_cast<std::uint64_t*>(&words_of(held) + 1);
  return {
      static_cast<std::uint32_t>(std::atomic_ref(parties[index]).load(std::memory_order_acquire))};
}

// Gone in order counts as well: what it arrived for it will not do.
bool is_gone(sync::MemberId member) {
  return member && member != sync::self() && sync::liveness().end_of(member) != sync::End::alive;
}

// Whether one of those that have arrived is gone. Asked by the last one to arrive, or it would
// release a round in which not all have met.
bool any_gone(const arena::Held* held, std::uint64_t arrived) {
  for (std::uint64_t i = 0; i < arrived; ++i) {
    if (is_gone(party(held, i))) return true;
  }
  return false;
}

// Callers wake all waiters after they have let the lock go, since each of them takes it at once.
void break_barrier(Change& change) {
  change.set(kState, kBroken);
  change.commit();
  FORKFUL_FAULT("barrier.broken");
}

// The field that has the oldest of the broken rounds, or none yet.
std::size_t oldest_broken(const Change& change) {
  std::size_t oldest = broken_field(0);
  for (std::size_t i = 1; i < kBrokenNoted; ++i) {
    if (change.get(broken_field(i)) < change.get(oldest)) oldest = broken_field(i);
  }
  return oldest;
}

// One commit, so that a waiter finds the round's number and how it ended together.
void end_round(Change& change, bool broken) {
  const std::uint64_t next = change.get(kRound) + 1;
  if (broken) change.set(oldest_broken(change), next);
  change.set(kRound, next);
  change.set(kArrived, 0);
  change.set(kState, kOpen);
  change.commit();
  FORKFUL_FAULT("barrier.ended");
}

// How a round that is not the current one any more ended. One that is older than all that are noted
// counts as broken: it may have been. The fields are filled in their order, so with none that is
// noted, which is the usual case, one look is enough.
bool was_released(const Change& change, std::uint64_t round) {
  bool is_older = true;
  for (std::size_t i = 0; i < kBrokenNoted; ++i) {
    const std::uint64_t noted = change.get(broken_field(i));
    if (noted == 0) return true;
    if (noted == round + 1) return false;
    is_older = is_older && round + 1 < noted;
  }
  return !is_older;
}

// Waits as `inner` does, and looks between slices whether the round's parties live.
class Watch final : public Wait {
 public:
  Watch(Wait& inner, const arena::Held* held, std::uint64_t round, std::uint64_t first)
      : Wait(inner.deadline), inner_(inner), held_(held), round_(round), next_(first) {}

  void before() noexcept override { inner_.before(); }
  void after() noexcept override { inner_.after(); }
  bool interrupted(bool signalled) noexcept override {
    look();
    return inner_.interrupted(signalled);
  }
  // No wake-up tells of a death.
  [[nodiscard]] std::int64_t asked_within_ns() const noexcept override { return kOftenNs; }

 private:
  void look() noexcept try {
    {
      // Also completes what a party that was killed in the middle of a change has left.
      Change change(held_);
      const std::uint64_t arrived = arrived_at(change, held_);
      if (change.get(kRound) != round_ || change.get(kState) == kBroken || arrived == 0) return;
      // One party a slice: the waiters together look at all of them every few slices, without
      // each of them looking at each.
      const bool gone = is_gone(party(held_, next_++ % arrived)) ||
                        (change.get(kState) == kActing && is_gone(party(held_, arrived - 1)));
      if (!gone) return;
      break_barrier(change);
    }
    words_of(held_).bell.notify_all();
  } catch (const std::exception&) {
    // Why: what is damaged, or cannot be mapped here, is an error of the call that waits, which
    // comes to it after its wait.
  }

  Wait& inner_;
  const arena::Held* held_;
  const std::uint64_t round_;
  std::uint64_t next_;
};

Passed passed(Waited how) {
  switch (how) {
    case Waited::done:
      return Passed::yes;
    case Waited::timed_out:
      return Passed::timed_out;
    default:
      return Passed::interrupted;
  }
}

enum class Attempt { arrived, broken, not_yet };

// Counts and names a party in one commit. not_yet: the action of this round still runs, and the
// next round begins after it.
Attempt try_arrive(const arena::Held* held, RawBarrier::Arrival& arrival) {
  const auto& words = words_of(held);
  {
    Change change(held);
    arrival.round = change.get(kRound);
    if (change.get(kState) == kBroken) return Attempt::broken;
    if (change.get(kState) == kActing) return Attempt::not_yet;
    const std::uint64_t before = arrived_at(change, held);
    if (before == most_parties(held)) arena::damaged();
    arrival.index = static_cast<std::uint32_t>(before);
    arrival.last = before + 1 == words.parties;
    if (!arrival.last || !any_gone(held, before)) {
      change.set(party_field(before), sync::self().bits);
      change.set(kArrived, before + 1);
      if (arrival.last) change.set(kState, kActing);
      change.commit();
      FORKFUL_FAULT("barrier.arrived");
      return Attempt::arrived;
    }
    break_barrier(change);
  }
  words_of(held).bell.notify_all();
  return Attempt::broken;
}

}  // namespace

RawBarrier RawBarrier::create(std::uint32_t parties, const Label& label) {
  if (parties == 0 || parties > kMostParties) {
    throw std::invalid_argument("a barrier's parties must be 1 to " + std::to_string(kMostParties) +
                                ", not " + std::to_string(parties) +
                                (parties > kMostParties ? ": was it negative?" : ""));
  }
  const auto fill = [](void* count, std::byte* object) {
    auto* words = new (object + arena::Held::body_at<BarrierWords>()) BarrierWords{};
    words->parties = *static_cast<std::uint32_t*>(count);
  };
  const std::uint64_t bytes = arena::Held::body_at<BarrierWords>() + party_field(parties);
  return RawBarrier(arena::create_object(arena::Kind::barrier, label, bytes, fill, &parties));
}

RawBarrier RawBarrier::adopt(Id id) {
  return RawBarrier(arena::adopt_object<BarrierWords>(arena::Kind::barrier, id));
}

Passed RawBarrier::arrive(Arrival& arrival, Wait& wait) const {
  auto& words = words_of(held_);
  for (;;) {
    switch (try_arrive(held_, arrival)) {
      case Attempt::arrived:
        return Passed::yes;
      case Attempt::broken:
        return Passed::broken;
      case Attempt::not_yet:
        break;
    }
    Watch watch(wait, held_, arrival.round, 0);
    // Acquire: pairs with the commits in end_round() and break_barrier().
    const Waited how = words.bell.under(words.journal.lock).wait(watch, held_->budget, [&] {
      return words.state.load(std::memory_order_acquire) != kActing ||
             words.round.load(std::memory_order_acquire) != arrival.round;
    });
    if (how != Waited::done) return passed(how);
  }
}

Passed RawBarrier::wait(const Arrival& arrival, Wait& wait) const {
  auto& words = words_of(held_);
  Watch watch(wait, held_, arrival.round, arrival.index + 1);
  // Acquire: as in arrive().
  const Waited how = words.bell.under(words.journal.lock).wait(watch, held_->budget, [&] {
    return words.round.load(std::memory_order_acquire) != arrival.round ||
           words.state.load(std::memory_order_acquire) == kBroken;
  });
  if (how != Waited::done) return passed(how);
  const Change change(held_);
  const bool over = change.get(kRound) != arrival.round;
  return over && was_released(change, arrival.round) ? Passed::yes : Passed::broken;
}

// Race: the round may have ended while this party made up its mind; then how it ended counts.
Passed RawBarrier::give_up(const Arrival& arrival) const {
  {
    Change change(held_);
    if (change.get(kRound) != arrival.round) {
      return was_released(change, arrival.round) ? Passed::yes : Passed::broken;
    }
    if (change.get(kState) != kBroken) break_barrier(change);
  }
  words_of(held_).bell.notify_all();
  return Passed::broken;
}

bool RawBarrier::release(const Arrival& arrival) const {
  FORKFUL_FAULT("barrier.releasing");
  {
    Change change(held_);
    if (change.get(kRound) != arrival.round || change.get(kState) != kActing) return false;
    end_round(change, false);
  }
  words_of(held_).bell.notify_all();
  return true;
}

void RawBarrier::abort() const {
  {
    Change change(held_);
    if (change.get(kState) != kBroken) break_barrier(change);
  }
  words_of(held_).bell.notify_all();
}

// Nothing is to be done where nobody has arrived and nothing is broken.
void RawBarrier::reset() const {
  {
    Change change(held_);
    if (change.get(kState) == kOpen && change.get(kArrived) == 0) return;
    end_round(change, true);
  }
  words_of(held_).bell.notify_all();
}

std::uint32_t RawBarrier::parties() const { return words_of(held_).parties; }

std::uint32_t RawBarrier::waiting() const {
  const Change change(held_);
  return change.get(kState) == kOpen ? static_cast<std::uint32_t>(change.get(kArrived)) : 0;
}

// Acquire: pairs with the commit in break_barrier().
bool RawBarrier::broken() const {
  return words_of(held_).state.load(std::memory_order_acquire) == kBroken;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
