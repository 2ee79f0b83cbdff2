// The table of members: taking an entry, living in it, and giving back what a member had that has
// ended. LIVENESS.md has the words, who may write and read them, and what a death leaves.
//
// Threads: any of any member, but for what a member says of itself, which comes from its own
// process. The table changes under the arena's lock where several words change, and by single
// exchanges elsewhere.
#include "arena/members.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <forkful/errors.hpp>

#include "arena/awake.hpp"
#include "arena/member_name.hpp"
#include "arena/objects.hpp"
#include "kernel/child.hpp"
#include "kernel/error.hpp"
#include "kernel/fault.hpp"
#include "kernel/memfd.hpp"
#include "kernel/process_info.hpp"

namespace forkful::arena {
namespace {

// For so long a reserved entry counts as a process that is just beginning, whatever else can be
// told of it. A guess: longer than a starter is kept from running between the reservation and the
// start.
constexpr std::int64_t kClaimWithinNs = 30'000'000'000;
constexpr Offset kCursorAt = kHeaderAt + offsetof(Header, member_cursor);
constexpr Offset kDeathsSeenAt = kHeaderAt + offsetof(Header, deaths_seen);

constexpr std::uint64_t make_state(std::uint32_t generation, MemberState state) {
  return (std::uint64_t{generation & 0xffffu} << 8) | static_cast<std::uint64_t>(state);
}
// They go from 1 to kLastGeneration and round again, so that no id is 0.
constexpr std::uint32_t kLastGeneration = 0xffff;
constexpr std::uint32_t generation_after(std::uint32_t generation) {
  return generation % kLastGeneration + 1;
}
// How the last members of an entry ended: {the newest one's generation:16 << 48 | a bit for each,
// the newest lowest, 1: it left in order}. Of older ones nothing is known; they count as having
// left, which is how nearly all members end, and leaves everything as it is.
constexpr unsigned kEndsKept = 48;
constexpr std::uint64_t with_end(std::uint64_t ends, std::uint32_t generation, bool left) {
  if (ends >> kEndsKept == generation) return ends;
  const std::uint64_t bits = (ends << 1 | (left ? 1 : 0)) & ((1ull << kEndsKept) - 1);
  return std::uint64_t{generation} << kEndsKept | bits;
}
constexpr bool has_left(std::uint64_t ends, std::uint32_t generation) {
  const auto newest = static_cast<std::uint32_t>(ends >> kEndsKept);
  const std::uint32_t age =
      newest >= generation ? newest - generation : newest + kLastGeneration - generation;
  return age >= kEndsKept || (ends >> age & 1) != 0;
}
static_assert(!has_left(with_end(0, 3, false), 3) && has_left(with_end(0, 3, true), 3));
static_assert(!has_left(with_end(with_end(0, 3, false), 4, true), 3));
static_assert(!has_left(with_end(with_end(0, kLastGeneration, false), 1, true), kLastGeneration));

OnHolderEnd g_on_holder_end[kKinds];

// A member's exit code as the table has it, in the low eight bits; 0: it has not said.
constexpr std::uint32_t kSaid = 1u << 8;

Offset offset_of(MemberId id) { return kMembersAt + id.index() * sizeof(Member); }
Offset state_of(MemberId id) { return offset_of(id) + offsetof(Member, state); }
Offset holdings_of(MemberId id) { return offset_of(id) + offsetof(Member, holdings); }

// Stages the reservation of a free entry. At least kEntriesInTurn of them are used in turn, so that
// a lock word that names a dead member can be told from its entry's next user for a while; more
// only when those are taken, since whoever counts the living looks at every entry that was ever
// used.
MemberId stage_entry(Journal& journal) {
  // A guess: with the 48 ends that an entry remembers, some 12,000 processes are told apart.
  constexpr std::uint32_t kEntriesInTurn = 256;
  const std::uint32_t used =
      std::clamp(header().first_entry_unused.load(), kEntriesInTurn, kFirstProvisional);
  std::uint64_t index = journal.get(kCursorAt) % kFirstProvisional;
  for (std::uint32_t tries = 1; tries < kFirstProvisional; ++tries) {
    const std::uint32_t end = tries < used ? used : kFirstProvisional;
    index = index + 1 < end ? index + 1 : 1;
    const Offset where = kMembersAt + index * sizeof(Member) + offsetof(Member, state);
    const std::uint64_t state = journal.get(where);
    if (state_in(state) != MemberState::free) continue;
    const std::uint32_t generation = generation_after(generation_in(state));
    journal.set(kCursorAt, index);
    journal.set(where, make_state(generation, MemberState::reserved));
    return MemberId::of(static_cast<std::uint32_t>(index), generation);
  }
  kernel::throw_error(EAGAIN, "start", "another process (the family has 32,703 members)");
}

// Gives the new member its own list of what `parent` holds. The first commit makes the reservation
// as well, and each object is then a commit of its own. A starter that is killed in between leaves
// a reserved member with a part of the list, which a sweep gives back.
void share_holdings(Journal& journal, MemberId parent, MemberId child) {
  const Offset from = parent ? member(parent).holdings : 0;
  const std::uint64_t capacity = from != 0 ? holdings_capacity(from) : kFirstHoldings;
  const Offset to = stage_holdings(journal, capacity);
  journal.set(holdings_of(child), to);
  journal.commit();
  for (std::uint64_t i = 0; from != 0 && i < capacity; ++i) {
    const Offset object = at<Offset>(holding_at(from, i));
    if (!can_be_object(object)) continue;
    stage_hold(journal, object, holding_at(to, i));
    journal.commit();
  }
}

// The namespace of this process's pids, where `own` is its entry. A process that sees its parent's
// pid is in the same one; to ask the kernel costs a new process 20 us, in which it makes its /proc.
std::uint64_t find_pid_namespace(const Member& own) {
  const MemberId id{own.parent.load()};
  if (id) {
    const Member& parent = member(id);
    const bool sees_it = parent.pid.load() == kernel::parent_pid() &&
                         generation_in(parent.state.load()) == id.generation();
    const std::uint64_t its = parent.pid_namespace.load(std::memory_order_relaxed);
    if (sees_it && its != 0) return its;
  }
  return kernel::pid_namespace();
}

// As far as this process has noted it: it does not change. 0 before that.
std::uint64_t own_pid_namespace() {
  const MemberId me{sync::self_word().load(std::memory_order_relaxed)};
  return me ? member(me).pid_namespace.load(std::memory_order_relaxed) : 0;
}

// Whether a pid that the member's entry names can be asked for here.
bool pid_is_known_here(const Member& entry) {
  const std::uint64_t its = entry.pid_namespace.load(std::memory_order_relaxed);
  const std::uint64_t ours = own_pid_namespace();
  return its == ours || its == 0 || ours == 0;
}

// Whether the process of a member is gone, or is another program now, as far as its pid tells.
bool is_gone_by_pid(const Member& entry) {
  if (!pid_is_known_here(entry)) return false;
  const int pid = entry.pid.load();
  return !kernel::process_runs(pid, entry.seen_at_ns.load()) ||
         !kernel::process_maps(pid, arena_file());
}

// Of a member that has begun.
bool is_gone(const Member& entry, MemberId id, int liveness_fd) {
  if (liveness_fd < 0) return is_gone_by_pid(entry);
  if (kernel::byte_is_held(liveness_fd, id.index())) return false;
  return entry.lock_lasts.load(std::memory_order_relaxed) != 0 || is_gone_by_pid(entry);
}

// Whether a member that has not begun never will: its fork failed, or it was killed on its first
// lines. One that takes its time (a debugger, a slow file system) is waited for as long as it runs.
bool never_begins(const Member& entry, MemberId me, int liveness_fd) {
  if (kernel::boottime_ns() - entry.seen_at_ns.load() < kClaimWithinNs) return false;
  const int pid = entry.pid.load();
  if (pid != 0) {
    return pid_is_known_here(entry) && !kernel::process_runs(pid, entry.seen_at_ns.load());
  }
  // Its starter has not come so far as to say its pid. A fork takes no time, an execution may.
  const bool executed = entry.start.load(std::memory_order_relaxed) != 0;
  const MemberId parent{entry.parent.load()};
  return !executed || end_of(parent, me, liveness_fd) != End::alive;
}

// Stages that a dead member does not hold what is named at `entry` any more.
void stage_holder_end(Journal& journal, Offset entry, MemberId id, End how) {
  const Offset object = journal.get(entry);
  if (can_be_object(object)) {
    const auto kind = static_cast<std::size_t>(kind_in(journal.get(object)));
    if (kind < kKinds && g_on_holder_end[kind] != nullptr) {
      g_on_holder_end[kind](object, id, how == End::left ? kSomebodyLeft : kSomebodyKilled);
    }
  }
  stage_release(journal, entry);
}

// Stages that a death is remembered. What is written plainly is beyond what is shown until the
// commit, and nobody else writes it meanwhile: the journal is locked.
void note_death(Journal& journal, MemberId id) {
  const std::uint64_t seen = journal.get(kDeathsSeenAt);
  const Member& entry = member(id);
  Death& death = header().deaths[seen % (kDeathsKept + 1)];
  death.member = id.bits;
  death.pid = entry.pid.load(std::memory_order_relaxed);
  death.parent = entry.parent.load(std::memory_order_relaxed);
  death.flags = entry.flags.load(std::memory_order_relaxed);
  death.at_ns = kernel::boottime_ns();
  death.sleeps_at = entry.asleep.load(std::memory_order_relaxed) != 0
                        ? entry.sleeps_at.load(std::memory_order_relaxed)
                        : 0;
  std::memcpy(death.name, name_words(entry).data(), sizeof death.name);
  journal.set(kDeathsSeenAt, seen + 1);
}

// Gives back what a dead member held, an object a commit, and then its list and its entry.
void release_holdings(MemberId id, End how) {
  for (std::uint64_t i = 0;; ++i) {
    ArenaJournal journal;
    const std::uint64_t state = journal.get(state_of(id));
    if (generation_in(state) != id.generation() || state_in(state) == MemberState::free) return;
    Offset holdings = journal.get(holdings_of(id));
    std::uint64_t capacity = holdings != 0 ? journal.get(holdings) : 0;
    if (holdings != 0 && !is_allocated(holdings, holdings_bytes(capacity))) {
      holdings = 0;  // damaged: leaked, since nobody can tell what it names
      capacity = 0;
    }
    while (i < capacity && journal.get(holding_at(holdings, i)) == 0) ++i;
    if (i < capacity) {
      stage_holder_end(journal, holding_at(holdings, i), id, how);
    } else {
      try {
        if (holdings != 0) stage_free(journal, holdings, holdings_bytes(capacity));
      } catch (const Error&) {
        journal.drop();
      }
      journal.set(holdings_of(id), 0);
      journal.set(state_of(id), make_state(id.generation(), MemberState::free));
    }
    journal.commit();
    if (i >= capacity) return;
  }
}

}  // namespace

std::uint64_t holdings_capacity(Offset holdings) {
  if (!is_allocated(holdings, sizeof(ObjectHeader))) damaged();
  const std::uint64_t capacity = at<std::uint64_t>(holdings);
  const bool possible = capacity >= kFirstHoldings;
  if (!possible || !is_allocated(holdings, holdings_bytes(capacity))) damaged();
  return capacity;
}

// Word kHoldingsLink through the journal and all others at once: see the header.
Offset stage_holdings(Journal& journal, std::uint64_t capacity) {
  const std::uint64_t bytes = holdings_bytes(capacity);
  const Offset list = stage_allocate(journal, bytes);
  std::byte* block = at(list, bytes);
  constexpr std::size_t kLink = kHoldingsLink * sizeof(Offset);
  std::memset(block, 0, kLink);
  std::memset(block + kLink + sizeof(Offset), 0, bytes - kLink - sizeof(Offset));
  journal.set(list, capacity);
  journal.set(list + kLink, 0);
  return list;
}

MemberId reserve_member(std::uint32_t flags, MemberId parent, MemberId sharing,
                        sync::IfStuck if_stuck) {
  ArenaJournal journal(if_stuck);
  const MemberId id = stage_entry(journal);
  Member& entry = member(id);
  // The entry is free until the commit below, so its fields can be written plainly.
  entry.seen_at_ns.store(kernel::boottime_ns(), std::memory_order_relaxed);
  entry.pid.store(0, std::memory_order_relaxed);
  entry.parent.store(parent.bits, std::memory_order_relaxed);
  entry.flags.store(flags, std::memory_order_relaxed);
  entry.asleep.store(0, std::memory_order_relaxed);
  entry.start.store(0, std::memory_order_relaxed);
  entry.exit_word.store(0, std::memory_order_relaxed);
  entry.lock_lasts.store(0, std::memory_order_relaxed);
  entry.pid_namespace.store(0, std::memory_order_relaxed);
  write_name(entry, {});
  if (id.index() >= header().first_entry_unused.load()) {
    header().first_entry_unused.store(id.index() + 1);
  }
  share_holdings(journal, sharing, id);
  return id;
}

bool claim_member(MemberId me, int liveness_fd) {
  Member& entry = member(me);
  // Release: pairs with the load in info_of(); whoever sees the pid sees the name.
  entry.pid.store(kernel::current_pid(), std::memory_order_release);
  // Relaxed, here and below: the exchange at the end releases them all.
  entry.pid_namespace.store(find_pid_namespace(entry), std::memory_order_relaxed);
  entry.seen_at_ns.store(kernel::boottime_ns(), std::memory_order_relaxed);
  if (kernel::hold_byte_for_life(liveness_fd, me.index())) {
    entry.lock_lasts.store(1, std::memory_order_relaxed);
  } else {
    // Where the program has closed the file, the pid alone tells.
    (void)kernel::hold_byte(liveness_fd, me.index());
  }
  std::uint64_t reserved = make_state(me.generation(), MemberState::reserved);
  // Release: pairs with the acquire in end_of(); whoever sees a live member sees the words above,
  // and its lock. Acquire: pairs with the commit that reserved the entry.
  if (!entry.state.compare_exchange_strong(reserved, make_state(me.generation(), MemberState::live),
                                           std::memory_order_acq_rel)) {
    return false;
  }
  header().members_live.assign(me.index(), true);
  note_affinity(me);
  return true;
}

bool withdraw_member(MemberId id) {
  std::uint64_t reserved = make_state(id.generation(), MemberState::reserved);
  // Pairs with the exchange in claim_member(): one of the two fails.
  if (!member(id).state.compare_exchange_strong(
          reserved, make_state(id.generation(), MemberState::died), std::memory_order_acq_rel)) {
    return false;
  }
  reap(id, End::died);
  return true;
}

// Pairs with the acquire in end_of(): whoever sees that it has left sees what it did before.
void mark_left(MemberId me) {
  Member& entry = member(me);
  std::uint64_t live = make_state(me.generation(), MemberState::live);
  if (entry.state.compare_exchange_strong(live, make_state(me.generation(), MemberState::left))) {
    header().members_live.assign(me.index(), false);
  }
}

namespace {

// Whether a member has said good-bye, running or not. Only reads atomics.
bool left_in_order(MemberId id) {
  const Member& entry = member(id);
  // Acquire, both: pair with the commit in reap(), which writes last_ends before the state.
  const std::uint64_t state = entry.state.load(std::memory_order_acquire);
  if (generation_in(state) == id.generation() && state_in(state) != MemberState::free) {
    return state_in(state) == MemberState::left;
  }
  return has_left(entry.last_ends.load(std::memory_order_acquire), id.generation());
}

}  // namespace

bool ended_wilfully(MemberId id) {
  const Member& entry = member(id);
  // Acquire: pairs with mark_wilful(). The flag before the state: see noted_exit_code().
  const bool marked = (entry.flags.load(std::memory_order_acquire) & kWilful) != 0;
  const std::uint64_t state = entry.state.load(std::memory_order_acquire);
  return left_in_order(id) || (marked && generation_in(state) == id.generation());
}

void mark_wilful(MemberId me) { member(me).flags.fetch_or(kWilful, std::memory_order_release); }

void note_exit_code(MemberId me, int code) {
  // Release: pairs with the acquire in noted_exit_code().
  member(me).exit_word.store(kSaid | (static_cast<unsigned>(code) & 0xffu),
                             std::memory_order_release);
}

std::optional<int> noted_exit_code(MemberId id) {
  const Member& entry = member(id);
  // Acquire: pairs with note_exit_code().
  const std::uint32_t word = entry.exit_word.load(std::memory_order_acquire);
  // The entry may have been given to another one meanwhile, which has said nothing, or something
  // else: it had its generation before.
  if (generation_in(entry.state.load(std::memory_order_acquire)) != id.generation()) return {};
  if (word == 0) return std::nullopt;
  return static_cast<int>(word & 0xffu);
}

void on_holder_end(Kind kind, OnHolderEnd action) noexcept {
  g_on_holder_end[static_cast<int>(kind)] = action;
}

int pid_seen_here(MemberId id) {
  const Member& entry = member(id);
  const int pid = entry.pid.load();
  // Acquire, and after the pid: see noted_exit_code().
  const bool still_its =
      generation_in(entry.state.load(std::memory_order_acquire)) == id.generation();
  return still_its && pid_is_known_here(entry) ? pid : 0;
}

void note_started(MemberId id, int pid) {
  Member& entry = member(id);
  std::int32_t unknown = 0;
  if (!entry.pid.compare_exchange_strong(unknown, pid)) return;  // it has said so itself
  entry.pid_namespace.store(own_pid_namespace(), std::memory_order_relaxed);
  entry.seen_at_ns.store(kernel::boottime_ns(), std::memory_order_relaxed);
}

End end_of(MemberId id, MemberId me, int liveness_fd) {
  if (id == me) return End::alive;
  // What a lock names whose owner was reaped: kSomebodyKilled or kSomebodyLeft.
  if (id.index() == 0) return id == kSomebodyLeft ? End::left : End::died;
  if (id.index() >= kFirstProvisional) {
    // The child of a raw clone that has no entry yet.
    const auto pid = static_cast<int>(id.bits - provisional_id(0).bits);
    return kernel::process_runs(pid, 0) ? End::alive : End::died;
  }
  const Member& entry = member(id);
  // Acquire: pairs with claim_member(), mark_left() and the commits that change the state.
  const std::uint64_t state = entry.state.load(std::memory_order_acquire);
  if (generation_in(state) != id.generation() || state_in(state) == MemberState::free) {
    return left_in_order(id) ? End::left : End::died;
  }
  switch (state_in(state)) {
    case MemberState::reserved:
      return End::alive;
    case MemberState::left:
    case MemberState::live:
      break;
    default:
      return End::died;
  }
  if (!is_gone(entry, id, liveness_fd)) return End::alive;
  // It may have left in order between the two looks.
  if (entry.state.load(std::memory_order_acquire) != state) return end_of(id, me, liveness_fd);
  return state_in(state) == MemberState::left ? End::left : End::died;
}

void reap(MemberId id, End how, sync::IfStuck if_stuck) {
  const MemberState end = how == End::left ? MemberState::left : MemberState::died;
  {
    ArenaJournal journal(if_stuck);
    const std::uint64_t state = journal.get(state_of(id));
    if (generation_in(state) != id.generation() || state_in(state) == MemberState::free) return;
    const Offset ends = offset_of(id) + offsetof(Member, last_ends);
    // Before the state, since left_in_order() reads them the other way round.
    journal.set(ends, with_end(journal.get(ends), id.generation(), how == End::left));
    journal.set(state_of(id), make_state(id.generation(), end));
    if (how == End::died && state_in(state) != MemberState::died) note_death(journal, id);
    journal.commit();
    header().members_live.assign(id.index(), false);
    header().members_asleep.assign(id.index(), false);
  }
  recount_cpus();
  FORKFUL_FAULT("members.reaping");
  try {
    free_runs_of(id);
    release_holdings(id, how);
  } catch (const OsError&) {
    // Why: what cannot be mapped in this process is given back by whoever sweeps the table.
  }
  bury_the_dying();
}

void sweep_members(MemberId me, int liveness_fd) try {
  // A guess: a sweep is on the way to a sleep or a start, which should not become slower with the
  // number of members.
  constexpr std::uint32_t kLooks = 2;
  static std::atomic<std::uint32_t> next{1};
  for (std::uint32_t look = 0; look < kLooks; ++look) {
    const std::uint32_t used = entries_used();
    const std::uint32_t index =
        next.fetch_add(1, std::memory_order_relaxed) % (used > 1 ? used : 2);
    if (index == 0 || index == me.index()) continue;
    const std::uint64_t state =
        member(MemberId::of(index, 0)).state.load(std::memory_order_acquire);
    const MemberId id = MemberId::of(index, generation_in(state));
    const Member& each = member(id);
    switch (state_in(state)) {
      case MemberState::free:
        break;
      case MemberState::reserved:
        if (never_begins(each, me, liveness_fd)) reap(id, End::died, sync::IfStuck::leave);
        break;
      case MemberState::live:
        if (end_of(id, me, liveness_fd) == End::died) reap(id, End::died, sync::IfStuck::leave);
        break;
      case MemberState::left:
        // It has said good-bye; its process may need a moment still, and holds nothing we free.
        if (is_gone(each, id, liveness_fd)) reap(id, End::left, sync::IfStuck::leave);
        break;
      case MemberState::died:
        // Somebody was killed while giving it back. Its process is not asked for: whoever has set
        // the state knew its end, and a place that was withdrawn never had a process.
        reap(id, End::died, sync::IfStuck::leave);
        break;
    }
  }
} catch (const sync::StuckLock&) {
  // Why: whoever sweeps next looks again.
}

std::vector<MemberId> children_of(MemberId parent) {
  std::vector<MemberId> children;
  for (std::uint32_t index = 1; index < entries_used(); ++index) {
    const Member& each = member(MemberId::of(index, 0));
    // Acquire: pairs with the commit that reserved the entry, which wrote its parent.
    const std::uint64_t state = each.state.load(std::memory_order_acquire);
    if (state_in(state) == MemberState::free || each.parent.load() != parent.bits) continue;
    children.push_back(MemberId::of(index, generation_in(state)));
  }
  return children;
}

std::vector<Death> last_deaths() {
  ArenaJournal journal;
  const std::uint64_t seen = journal.get(kDeathsSeenAt);
  std::vector<Death> deaths;
  for (std::uint64_t n = seen > kDeathsKept ? seen - kDeathsKept : 0; n < seen; ++n) {
    deaths.push_back(header().deaths[n % (kDeathsKept + 1)]);
    deaths.back().name[sizeof Death::name - 1] = '\0';
  }
  return deaths;
}

}  // namespace forkful::arena
