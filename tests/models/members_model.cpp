// The table of members beside a map of who was started and how each ended: what end_of() answers
// long after an entry has its next users, who is whose child, what the dead leave, and locks whose
// owner ended. Members end in order, by a code of their own or by a kill, reap one another, and die
// while they reap, sweep or start. Whoever was reaped in part only, stays so until somebody comes
// by.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <forkful/bytes/lock.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "arena/at_fork.hpp"
#include "arena/heap.hpp"
#include "arena/local.hpp"
#include "arena/membership.hpp"
#include "models/cast.hpp"

namespace forkful::models {
namespace {

using arena::End;
using arena::MemberState;
using base::MemberId;
using bytes::RawLock;

constexpr int kOthers = 4;
constexpr int kLocks = 3;
constexpr std::uint64_t kListBytes = 128;  // of a list of few holdings

class MembersModel final : public Model {
 public:
  MembersModel() {
    arena::join_family();
    for (int i = 0; i < kLocks; ++i) locks_.push_back(RawLock::create());
    before_ = arena::check_heap();
    cast_.emplace(kOthers, [this](const Call& call) { return perform(call); });
    enter(sync::self(), {});
    for (int who = 1; who <= kOthers; ++who) enter(cast_->id_of(who), {});
  }

  void step(const Operation& operation) override {
    const bool dies = operation.death.how != Death::How::none;
    died_inside_ = false;
    const int who = cast_->member_for(operation);
    const int victim = 1 + static_cast<int>(operation.which % kOthers);
    const Death& death = operation.death;
    if (!dies && operation.what % 60 == 0) return come_and_go();
    switch (dies ? 3 + operation.what % 13 : operation.what % 16) {
      case 0:
      case 1:
      case 2:
        return end(victim, operation.size);
      case 3:
      case 4:
        return reap(who, operation.which, death);
      case 5:
      case 6:
      case 7:
        return sweep(who, death);
      case 8:
      case 9:
        return reserve(who, death);
      case 10:
        return withdraw(who, operation.which, death);
      case 11:
      case 12:
        return start(who, operation.size, death);
      case 13:
        return release(who, operation.which % kLocks, death);
      default:
        return acquire(who, operation.which % kLocks, death);
    }
  }

  void check() override {
    std::map<std::uint32_t, std::set<std::uint32_t>> children;
    std::set<std::uint32_t> entries;
    std::uint32_t live = 0;
    std::uint32_t halfway = 0;
    for (auto& [bits, its] : members_) {
      const MemberId id{bits};
      note_reaped(id, its);
      require_equal(static_cast<std::uint64_t>(arena::end_of(id)),
                    static_cast<std::uint64_t>(its.end), "how a member ended");
      if (its.state == State::gone) continue;
      const std::uint64_t state = arena::member(id).state.load();
      require_equal(arena::generation_in(state), id.generation(), "the user of an entry");
      require_equal(static_cast<std::uint64_t>(arena::state_in(state)),
                    static_cast<std::uint64_t>(state_of(its)), "the state of an entry");
      require(arena::noted_exit_code(id) == its.code, "what a member says of its exit code");
      entries.insert(id.index());
      children[its.parent].insert(bits);
      live += its.state == State::live || (its.state == State::ended && its.end == End::died);
      halfway += its.state == State::halfway;
    }
    for (std::uint32_t index = 1; index < arena::header().first_entry_unused; ++index) {
      const std::uint64_t state = arena::member(MemberId::of(index, 0)).state.load();
      require_equal(arena::state_in(state) != MemberState::free, entries.contains(index),
                    "whether an entry is taken");
    }
    for (const auto& [parent, its] : children) {
      std::set<std::uint32_t> found;
      for (const MemberId each : arena::children_of({parent})) found.insert(each.bits);
      require(found == its, "whose children they are");
    }
    // The bit of one that was reaped halfway may be stale.
    const std::uint32_t counted = arena::header().members_live.load();
    require(counted >= live && counted <= live + halfway, "members that live are counted");
    require_equal(arena::check_heap(), before_ + (entries.size() - 1) * kListBytes,
                  "bytes given out");
    check_locks();
  }

  void end() override {
    for (int who = 1; who <= kOthers; ++who) {
      cast_->kill(who);
      members_.at(cast_->id_of(who).bits) = {.state = State::ended, .end = End::died};
    }
    sweep(0, {});
    while (any(is_reserved, 0)) withdraw(0, 0, {});
    check();
    require_equal(arena::check_heap(), before_, "bytes left");
  }

 private:
  enum What : std::uint64_t {
    kReap,
    kSweep,
    kReserve,
    kWithdraw,
    kStart,
    kAcquire,
    kRelease,
    kEnd
  };
  // halfway: the entry says that its member died, and the reaper was killed before it was free.
  enum class State { reserved, live, ended, halfway, gone };

  struct Entry {
    State state = State::live;
    End end = End::alive;
    std::uint32_t parent = 0;
    std::optional<int> code = std::nullopt;
  };
  enum class Taken { no, yes, died };

  // --- the engine ---

  Answer perform(const Call& call) {
    const MemberId id{static_cast<std::uint32_t>(call.with[0])};
    switch (call.what) {
      case kReap:
        arena::process_ended(id);
        return {};
      case kSweep:
        // Each looks at two entries.
        for (std::uint32_t i = 0; i < arena::header().first_entry_unused; ++i) arena::try_sweep();
        return {};
      case kReserve:
        return {.words = {arena::reserve_member(0, sync::self(), sync::self()).bits}};
      case kWithdraw:
        return {.refused = !arena::withdraw_member(id)};
      case kStart:
        return start_and_wait(call.with[0]);
      case kAcquire: {
        Wait wait(Deadline::poll());
        return {.words = {static_cast<std::uint64_t>(lock(call.with[0]).acquire(wait))}};
      }
      case kRelease:
        return {.refused = !lock(call.with[0]).release()};
      default:
        leave(call.with[0]);
    }
  }

  [[noreturn]] static void leave(std::uint64_t how) {
    switch (how % 3) {
      case 0:
        arena::leave_family();
        break;
      case 1:
        arena::leave_family(static_cast<int>(how % 100));
        break;
      default:
        test::die();
    }
    ::_exit(0);
  }

  static Answer start_and_wait(std::uint64_t how) {
    test::Child child = test::fork_child([how] { leave(how); });
    child.wait_without_reaping();
    const MemberId id = child.member();
    arena::process_ended(id);
    return {.words = {id.bits}};
  }

  const RawLock& lock(std::uint64_t index) const { return locks_[index]; }

  // --- comparing ---

  static MemberState state_of(const Entry& its) {
    if (its.state == State::reserved) return MemberState::reserved;
    if (its.state == State::halfway) return MemberState::died;
    return its.end == End::left ? MemberState::left : MemberState::live;
  }

  // A fork, and whoever sleeps, looks at two entries, and may find somebody who has ended. When it
  // is killed meanwhile, the entry may say how that one ended, and have its list still.
  void note_reaped(MemberId id, Entry& its) const {
    if (!is_to_reap(its)) return;
    if (is_free(id)) {
      its.state = State::gone;
    } else if (died_inside_ && its.end == End::died && has_died(id)) {
      its.state = State::halfway;
    }
  }
  static bool is_to_reap(const Entry& its) {
    return its.state == State::ended || its.state == State::halfway;
  }
  static bool is_free(MemberId id) {
    const std::uint64_t state = arena::member(id).state.load();
    return arena::generation_in(state) != id.generation() ||
           arena::state_in(state) == MemberState::free;
  }
  static bool has_died(MemberId id) {
    return arena::state_in(arena::member(id).state.load()) == MemberState::died;
  }

  void check_locks() const {
    for (int i = 0; i < kLocks; ++i) {
      require_equal(lock(i).locked(), owners_[i].has_value(), "whether a lock is locked");
    }
  }

  // --- operations ---

  // A member ends by itself, or is killed, and nobody looks at first. Another one begins.
  void end(int who, std::uint32_t how) {
    const MemberId id = cast_->id_of(who);
    note("member %d (entry %u) ends in way %u\n", who, id.index(), how % 3);
    (void)cast_->end(who, {kEnd, {how}});
    Entry& its = members_.at(id.bits);
    its.state = State::ended;
    its.end = how % 3 == 2 ? End::died : End::left;
    if (how % 3 == 1) its.code = static_cast<int>(how % 100);
    begin_another(who);
  }

  void reap(int who, std::uint32_t which, const Death& death) {
    const auto id = any(is_to_reap, which);
    if (!id) return sweep(who, death);
    note("member %d reaps entry %u", who, id->index());
    const auto answer = ask(who, {kReap, {id->bits}}, death);
    if (answer) require_gone(*id);
    after(who);
  }

  void sweep(int who, const Death& death) {
    note("member %d sweeps the table", who);
    const auto answer = ask(who, {kSweep, {}}, death);
    for (auto& [bits, its] : members_) {
      if (answer && is_to_reap(its) && MemberId{bits} != cast_->id_of(who)) require_gone({bits});
    }
    after(who);
  }

  void reserve(int who, const Death& death) {
    note("member %d reserves an entry", who);
    const auto answer = ask(who, {kReserve, {}}, death);
    if (answer) {
      enter({static_cast<std::uint32_t>(answer->words[0])},
            {.state = State::reserved, .parent = cast_->id_of(who).bits});
    }
    after(who);
  }

  void withdraw(int who, std::uint32_t which, const Death& death) {
    const auto id = any(is_reserved, which);
    if (!id) return reserve(who, death);
    note("member %d withdraws entry %u", who, id->index());
    const auto answer = ask(who, {kWithdraw, {id->bits}}, death);
    Entry& its = members_.at(id->bits);
    if (answer) {
      require(!answer->refused, "nobody has claimed it");
      require_gone(*id);
      its.end = End::died;
    } else if (is_free(*id) || has_died(*id)) {
      its.state = is_free(*id) ? State::gone : State::halfway;
      its.end = End::died;
    }
    after(who);
  }

  // A child that ends at once, and is waited for.
  void start(int who, std::uint32_t how, const Death& death) {
    note("member %d starts a child that ends in way %u", who, how % 3);
    const auto answer = ask(who, {kStart, {how}}, death);
    if (answer) {
      enter({static_cast<std::uint32_t>(answer->words[0])},
            {.state = State::gone, .end = how % 3 == 2 ? End::died : End::left});
    }
    after(who);
  }

  // So many that every entry has another user; how the earlier ones ended is known still.
  void come_and_go() {
    constexpr int kMany = 300;
    note("%d entries are reserved and withdrawn\n", kMany);
    for (int i = 0; i < kMany; ++i) {
      const MemberId id = arena::reserve_member(0, sync::self(), sync::self());
      require(arena::withdraw_member(id), "nobody has claimed it");
      if (i % 50 == 0) enter(id, {.state = State::gone, .end = End::died});
    }
  }

  void acquire(int who, std::uint32_t index, const Death& death) {
    auto& owner = owners_[index];
    const bool dead = owner && members_.at(owner->bits).end == End::died;
    note("member %d wants lock %u", who, index);
    const auto answer = ask(who, {kAcquire, {index}}, death);
    const MemberId id = cast_->id_of(who);
    if (answer) {
      const auto expected = !owner ? bytes::Acquired::yes
                            : dead ? bytes::Acquired::owner_died
                                   : bytes::Acquired::timed_out;
      require_equal(answer->words[0], static_cast<std::uint64_t>(expected), "what a lock says");
    }
    if (!owner && (answer || lock(index).locked())) owner = id;
    // So that it is of use again.
    if (dead) {
      require(lock(index).recover(), "the lock of a dead owner can be had");
      require(lock(index).release(), "and released");
      owner.reset();
    }
    after(who);
  }

  void release(int who, std::uint32_t index, const Death& death) {
    auto& owner = owners_[index];
    note("member %d releases lock %u", who, index);
    const auto answer = ask(who, {kRelease, {index}}, death);
    if (answer) require_equal(!answer->refused, owner.has_value(), "whether it was locked");
    if (answer || !lock(index).locked()) owner.reset();
    after(who);
  }

  std::optional<Answer> ask(int who, const Call& call, const Death& death) {
    auto answer = cast_->ask(who, call, death);
    if (cast_->lives(who)) return answer;
    died_inside_ = !answer;
    (void)arena::check_heap();  // what it had committed shows once somebody has had the lock
    Entry& its = members_.at(cast_->id_of(who).bits);
    its.state = State::ended;
    its.end = End::died;
    return answer;
  }

  // What a dead one had begun to start: an entry that nobody will claim, or a child that ends.
  void after(int who) {
    if (cast_->lives(who)) return;
    const MemberId id = cast_->id_of(who);
    for (const MemberId child : arena::children_of(id)) {
      if (members_.contains(child.bits) || arena::withdraw_member(child)) continue;
      test::await([&] { return arena::end_of(child) != End::alive; }, "the end of a grandchild");
      arena::process_ended(child);
    }
    begin_another(who);
  }

  void begin_another(int who) {
    cast_->replace(who);
    enter(cast_->id_of(who), {});
  }
  // --- the model ---

  void enter(MemberId id, Entry entry) {
    if (entry.parent == 0 && id != sync::self()) entry.parent = sync::self().bits;
    for (const auto& [bits, its] : members_) {
      require(its.state == State::gone || MemberId{bits}.index() != id.index(),
              "an entry has one user at a time");
    }
    require(members_.emplace(id.bits, entry).second, "a member's id is its own");
  }

  void require_gone(MemberId id) {
    require(is_free(id), "whoever was reaped has no entry");
    members_.at(id.bits).state = State::gone;
  }

  static bool is_reserved(const Entry& its) { return its.state == State::reserved; }
  [[nodiscard]] std::optional<MemberId> any(bool (*is_wanted)(const Entry&),
                                            std::uint32_t which) const {
    std::vector<MemberId> those;
    for (const auto& [bits, its] : members_) {
      if (is_wanted(its)) those.push_back({bits});
    }
    return those.empty() ? std::nullopt : std::optional(those[which % those.size()]);
  }

  std::uint64_t before_ = 0;
  bool died_inside_ = false;  // a member, in the middle of the last operation
  std::vector<RawLock> locks_;
  std::optional<Cast> cast_;
  std::map<std::uint32_t, Entry> members_;  // all that ever were, by their ids
  std::array<std::optional<MemberId>, kLocks> owners_{};
};

Subject members(std::vector<kernel::FaultPoint> points) {
  return {"members", [] { return std::make_unique<MembersModel>(); }, std::move(points)};
}

TEST(Models, members_are_as_a_map_of_who_was_started_and_how_each_ended) {
  play(members({"members.reaping", "members.reaping", "journal.staged", "journal.committed",
                "journal.applying", "objects.burying", "start.invited"}));
}

// A member that forks sweeps the table first, and is killed when it has reaped another one in part.
TEST(Models, members_are_so_after_a_starter_was_killed_in_its_sweep) {
  play_again(members({"members.reaping", "members.reaping", "journal.staged", "journal.committed",
                      "journal.applying", "objects.burying"}),
             3601651283, 250, 5);
}

}  // namespace
}  // namespace forkful::models
