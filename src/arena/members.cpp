#include "arena/members.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <forkful/errors.hpp>

#include "arena/objects.hpp"
#include "kernel/error.hpp"
#include "kernel/fault.hpp"
#include "kernel/memfd.hpp"
#include "kernel/process_info.hpp"

namespace forkful::arena {
namespace {

constexpr std::int64_t kClaimWithinNs = 30'000'000'000;
constexpr Offset kCursorAt = kHeaderAt + offsetof(Header, member_cursor);

constexpr std::uint64_t make_state(std::uint32_t generation, MemberState state) {
  return (std::uint64_t{generation & 0xffffu} << 8) | static_cast<std::uint64_t>(state);
}
// How the last members of a slot ended: {the newest one's generation:16 << 48 | a bit for each, the
// newest lowest, 1: it left in order}. Of older ones nothing is known; they count as having left,
// which is how nearly all members end, and leaves everything as it is.
constexpr unsigned kEndsKept = 48;
constexpr std::uint64_t with_end(std::uint64_t ends, std::uint32_t generation, bool left) {
  if (ends >> kEndsKept == generation) return ends;
  const std::uint64_t bits = (ends << 1 | (left ? 1 : 0)) & ((1ull << kEndsKept) - 1);
  return std::uint64_t{generation} << kEndsKept | bits;
}
constexpr bool has_left(std::uint64_t ends, std::uint32_t generation) {
  const std::uint64_t age = ((ends >> kEndsKept) - generation) & 0xffff;
  return age >= kEndsKept || (ends >> age & 1) != 0;
}

OnHolderEnd g_on_holder_end[kKinds];

// A member's exit code as the table has it; 0: it has not said.
constexpr std::uint32_t kSaid = 1u << 8;

Offset offset_of(MemberId id) { return kMembersAt + id.slot() * sizeof(Member); }
Offset state_of(MemberId id) { return offset_of(id) + offsetof(Member, state); }
Offset holdings_of(MemberId id) { return offset_of(id) + offsetof(Member, holdings); }

// Stages the reservation of a free slot. At least kSlotsInTurn of them are used in turn, so that a
// lock word that names a dead member can be told from its slot's next user for a while; more only
// when those are taken, since whoever counts the living looks at every slot that was ever used.
MemberId stage_slot(Journal& journal) {
  constexpr std::uint32_t kSlotsInTurn = 256;
  const std::uint32_t used =
      std::clamp(header().first_slot_unused.load(), kSlotsInTurn, kFirstLateSlot);
  std::uint64_t slot = journal.get(kCursorAt) % kFirstLateSlot;
  for (std::uint32_t tries = 1; tries < kFirstLateSlot; ++tries) {
    const std::uint32_t end = tries < used ? used : kFirstLateSlot;
    slot = slot + 1 < end ? slot + 1 : 1;
    const Offset where = kMembersAt + slot * sizeof(Member) + offsetof(Member, state);
    const std::uint64_t state = journal.get(where);
    if (state_in(state) != MemberState::free) continue;
    std::uint32_t generation = (generation_in(state) + 1) & 0xffffu;
    if (generation == 0) generation = 1;
    journal.set(kCursorAt, slot);
    journal.set(where, make_state(generation, MemberState::reserved));
    return MemberId::of(static_cast<std::uint32_t>(slot), generation);
  }
  kernel::throw_error(EAGAIN, "start", "another process (the family has 32,703 members)");
}

// Gives the new member its own list of what `parent` holds, a few objects a commit.
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

// Whether a pid that the member's slot names can be asked for here.
bool pid_is_known_here(const Member& slot) {
  const std::uint64_t its = slot.pid_namespace.load(std::memory_order_relaxed);
  const std::uint64_t ours = kernel::pid_namespace();
  return its == ours || its == 0 || ours == 0;
}

// Whether the process of a member is gone, or is another program now, as far as its pid tells.
bool is_gone_by_pid(const Member& slot) {
  if (!pid_is_known_here(slot)) return false;
  const int pid = slot.pid.load();
  return !kernel::process_runs(pid, slot.seen_at_ns.load()) ||
         !kernel::process_maps(pid, arena_file());
}

// Of a member that has begun.
bool is_gone(const Member& slot, MemberId id, int liveness_fd) {
  if (liveness_fd < 0) return is_gone_by_pid(slot);
  if (kernel::byte_is_held(liveness_fd, id.slot())) return false;
  return slot.lock_lasts.load(std::memory_order_relaxed) != 0 || is_gone_by_pid(slot);
}

// Whether a member that has not begun never will: its fork failed, or it was killed on its first
// lines. One that takes its time (a debugger, a slow file system) is waited for as long as it runs.
bool never_begins(const Member& slot, MemberId me, int liveness_fd) {
  if (kernel::boottime_ns() - slot.seen_at_ns.load() < kClaimWithinNs) return false;
  const int pid = slot.pid.load();
  if (pid != 0) {
    return pid_is_known_here(slot) && !kernel::process_runs(pid, slot.seen_at_ns.load());
  }
  // Its starter has not come so far as to say its pid. A fork takes no time, an execution may.
  const bool executed = slot.start.load(std::memory_order_relaxed) != 0;
  const MemberId parent{slot.parent.load()};
  return !executed || end_of(parent, me, liveness_fd) != End::alive;
}

// Slots from here on were never used. Bounded, since any member can write the word. Race: another
// one is taken meanwhile, which the caller may miss as well as see.
std::uint32_t slots_used() { return std::min(header().first_slot_unused.load(), kMembers); }

std::uint32_t count_cpus() {
  std::uint64_t cpus[kCpuWords] = {};
  for (std::uint32_t slot = 1; slot < slots_used(); ++slot) {
    const Member& each = member(MemberId::of(slot, 0));
    if (state_in(each.state.load(std::memory_order_relaxed)) != MemberState::live) continue;
    for (std::uint32_t i = 0; i < kCpuWords; ++i) {
      cpus[i] |= each.cpus[i].load(std::memory_order_relaxed);
    }
  }
  std::uint32_t count = 0;
  for (const std::uint64_t word : cpus) count += static_cast<std::uint32_t>(std::popcount(word));
  return std::min(count, header().quota_cpus);
}

// Without the arena's lock, which nobody should have for as long as this takes. Race: others do the
// same meanwhile. Whoever wrote the count last counts once more after that.
void recount_cpus() {
  for (std::uint32_t count = count_cpus();;) {
    header().cpus.store(count, std::memory_order_seq_cst);
    const std::uint32_t now = count_cpus();
    if (now == count) return;
    count = now;
  }
}

// Makes the family's bit say whether any thread of this member sleeps. Race: other threads of the
// member may do the same meanwhile. Whoever wrote the bit last looks once more after that, so the
// last look sees the last count.
void note_sleep(MemberId me) {
  const auto& asleep = member(me).asleep;
  for (bool any = asleep.load() != 0;;) {
    header().members_asleep.assign(me.slot(), any);
    const bool now = asleep.load() != 0;
    if (now == any) return;
    any = now;
  }
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

// Gives back what a dead member held, an object a commit, and then its list and its slot.
void release_holdings(MemberId id, End how) {
  for (std::uint64_t i = 0;; ++i) {
    ArenaJournal journal;
    const std::uint64_t state = journal.get(state_of(id));
    if (generation_in(state) != id.generation() || state_in(state) == MemberState::free) return;
    Offset holdings = journal.get(holdings_of(id));
    std::uint64_t capacity = holdings != 0 ? journal.get(holdings) : 0;
    if (holdings != 0 && !is_allocated(holdings, holdings_bytes(capacity))) {
      holdings = 0;  // what a rogue member has damaged is left lying
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
  const MemberId id = stage_slot(journal);
  Member& slot = member(id);
  // The slot is free until the commit below, so its fields can be written plainly.
  slot.seen_at_ns.store(kernel::boottime_ns(), std::memory_order_relaxed);
  slot.pid.store(0, std::memory_order_relaxed);
  slot.parent.store(parent.bits, std::memory_order_relaxed);
  slot.flags.store(flags, std::memory_order_relaxed);
  slot.asleep.store(0, std::memory_order_relaxed);
  slot.start.store(0, std::memory_order_relaxed);
  slot.exit_word.store(0, std::memory_order_relaxed);
  slot.lock_lasts.store(0, std::memory_order_relaxed);
  slot.pid_namespace.store(0, std::memory_order_relaxed);
  std::memset(slot.name, 0, sizeof slot.name);
  if (id.slot() >= header().first_slot_unused.load()) {
    header().first_slot_unused.store(id.slot() + 1);
  }
  share_holdings(journal, sharing, id);
  return id;
}

bool claim_member(MemberId me, int liveness_fd) {
  Member& slot = member(me);
  slot.pid.store(kernel::current_pid(), std::memory_order_relaxed);
  slot.pid_namespace.store(kernel::pid_namespace(), std::memory_order_relaxed);
  slot.seen_at_ns.store(kernel::boottime_ns(), std::memory_order_relaxed);
  if (kernel::hold_byte_for_life(liveness_fd, me.slot())) {
    slot.lock_lasts.store(1, std::memory_order_relaxed);
  } else {
    // Where the program has closed the file, the pid alone tells.
    (void)kernel::hold_byte(liveness_fd, me.slot());
  }
  std::uint64_t reserved = make_state(me.generation(), MemberState::reserved);
  // Release: pairs with the acquire in end_of(); whoever sees a live member sees the words above,
  // and its lock. Acquire: pairs with the commit that reserved the slot.
  if (!slot.state.compare_exchange_strong(reserved, make_state(me.generation(), MemberState::live),
                                          std::memory_order_acq_rel)) {
    return false;
  }
  header().members_live.assign(me.slot(), true);
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

void mark_left(MemberId me) {
  Member& slot = member(me);
  std::uint64_t live = make_state(me.generation(), MemberState::live);
  if (slot.state.compare_exchange_strong(live, make_state(me.generation(), MemberState::left))) {
    header().members_live.assign(me.slot(), false);
  }
}

namespace {

// Whether a member has said good-bye, running or not. Only reads atomics.
bool left_in_order(MemberId id) {
  const Member& slot = member(id);
  // Acquire, both: pair with the commit in reap(), which writes last_ends before the state.
  const std::uint64_t state = slot.state.load(std::memory_order_acquire);
  if (generation_in(state) == id.generation() && state_in(state) != MemberState::free) {
    return state_in(state) == MemberState::left;
  }
  return has_left(slot.last_ends.load(std::memory_order_acquire), id.generation());
}

}  // namespace

bool ended_wilfully(MemberId id) {
  const Member& slot = member(id);
  // Acquire: pairs with mark_wilful(). The flag before the state: see noted_exit_code().
  const bool marked = (slot.flags.load(std::memory_order_acquire) & kWilful) != 0;
  const std::uint64_t state = slot.state.load(std::memory_order_acquire);
  return left_in_order(id) || (marked && generation_in(state) == id.generation());
}

void mark_wilful(MemberId me) { member(me).flags.fetch_or(kWilful, std::memory_order_release); }

void note_exit_code(MemberId me, int code) {
  member(me).exit_word.store(kSaid | (static_cast<unsigned>(code) & 0xffu),
                             std::memory_order_release);
}

std::optional<int> noted_exit_code(MemberId id) {
  const Member& slot = member(id);
  // Acquire: pairs with note_exit_code().
  const std::uint32_t word = slot.exit_word.load(std::memory_order_acquire);
  // The slot may have been given to another one meanwhile, which has said nothing, or something
  // else: it had its generation before.
  if (generation_in(slot.state.load(std::memory_order_acquire)) != id.generation()) return {};
  if (word == 0) return std::nullopt;
  return static_cast<int>(word & 0xffu);
}

void on_holder_end(Kind kind, OnHolderEnd action) noexcept {
  g_on_holder_end[static_cast<int>(kind)] = action;
}

int pid_seen_here(MemberId id) {
  const Member& slot = member(id);
  const int pid = slot.pid.load();
  const bool still_its =
      generation_in(slot.state.load(std::memory_order_acquire)) == id.generation();
  return still_its && pid_is_known_here(slot) ? pid : 0;
}

void note_started(MemberId id, int pid) {
  Member& slot = member(id);
  std::int32_t unknown = 0;
  if (!slot.pid.compare_exchange_strong(unknown, pid)) return;  // it has said so itself
  slot.pid_namespace.store(kernel::pid_namespace(), std::memory_order_relaxed);
  slot.seen_at_ns.store(kernel::boottime_ns(), std::memory_order_relaxed);
}

End end_of(MemberId id, MemberId me, int liveness_fd) {
  if (id == me) return End::alive;
  if (id.slot() == 0) return id == kSomebodyLeft ? End::left : End::died;
  if (id.slot() >= kFirstLateSlot) {
    const auto pid = static_cast<int>(id.bits - late_name(0).bits);
    return kernel::process_runs(pid, 0) ? End::alive : End::died;
  }
  const Member& slot = member(id);
  // Acquire: pairs with claim_member(), mark_left() and the commits that change the state.
  const std::uint64_t state = slot.state.load(std::memory_order_acquire);
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
  if (!is_gone(slot, id, liveness_fd)) return End::alive;
  // It may have left in order between the two looks.
  if (slot.state.load(std::memory_order_acquire) != state) return end_of(id, me, liveness_fd);
  return state_in(state) == MemberState::left ? End::left : End::died;
}

void reap(MemberId id, End how, sync::IfStuck if_stuck) {
  const MemberState end = how == End::left ? MemberState::left : MemberState::died;
  {
    ArenaJournal journal(if_stuck);
    const std::uint64_t state = journal.get(state_of(id));
    if (generation_in(state) != id.generation() || state_in(state) == MemberState::free) return;
    const Offset ends = offset_of(id) + offsetof(Member, last_ends);
    journal.set(ends, with_end(journal.get(ends), id.generation(), how == End::left));
    journal.set(state_of(id), make_state(id.generation(), end));
    journal.commit();
    header().members_live.assign(id.slot(), false);
    header().members_asleep.assign(id.slot(), false);
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
  constexpr std::uint32_t kLooks = 2;
  static std::atomic<std::uint32_t> next{1};
  for (std::uint32_t look = 0; look < kLooks; ++look) {
    const std::uint32_t used = slots_used();
    const std::uint32_t slot = next.fetch_add(1, std::memory_order_relaxed) % (used > 1 ? used : 2);
    if (slot == 0 || slot == me.slot()) continue;
    const std::uint64_t state = member(MemberId::of(slot, 0)).state.load(std::memory_order_acquire);
    const MemberId id = MemberId::of(slot, generation_in(state));
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
      default:
        // It has said good-bye; its process may need a moment still, and holds nothing we free.
        if (is_gone(each, id, liveness_fd)) {
          reap(id, state_in(state) == MemberState::left ? End::left : End::died,
               sync::IfStuck::leave);
        }
    }
  }
} catch (const sync::StuckLock&) {
  // Why: whoever sweeps next looks again.
}

std::vector<MemberId> children_of(MemberId parent) {
  std::vector<MemberId> children;
  for (std::uint32_t slot = 1; slot < slots_used(); ++slot) {
    const Member& each = member(MemberId::of(slot, 0));
    const std::uint64_t state = each.state.load(std::memory_order_acquire);
    if (state_in(state) == MemberState::free || each.parent.load() != parent.bits) continue;
    children.push_back(MemberId::of(slot, generation_in(state)));
  }
  return children;
}

bool room_to_spin() {
  const Header& head = header();
  const std::uint32_t cpus = head.cpus.load(std::memory_order_relaxed);
  if (cpus <= 1) return false;
  std::uint32_t room = cpus;
  const std::uint32_t slots = slots_used();
  for (std::uint32_t i = 0; i * 64 < slots; ++i) {
    std::uint64_t awake = head.members_live.word(i) & ~head.members_asleep.word(i);
    // One by one: few are awake where there is room, and where there is none that is soon known.
    for (; awake != 0; awake &= awake - 1) {
      if (room-- == 0) return false;
    }
  }
  return true;
}

void begin_sleep(MemberId me) {
  if (member(me).asleep.fetch_add(1) == 0) note_sleep(me);
}

void end_sleep(MemberId me) {
  if (member(me).asleep.fetch_sub(1) == 1) note_sleep(me);
}

void note_affinity(MemberId me) {
  Member& slot = member(me);
  const kernel::CpuSet now = kernel::affinity();
  static_assert(sizeof now.words == kCpuWords * sizeof(std::uint64_t));
  bool same = slot.cpus_noted.load(std::memory_order_relaxed) == me.generation();
  for (std::uint32_t i = 0; i < kCpuWords; ++i) {
    if (slot.cpus[i].load(std::memory_order_relaxed) == now.words[i]) continue;
    slot.cpus[i].store(now.words[i], std::memory_order_relaxed);
    same = false;
  }
  if (same) return;
  slot.cpus_noted.store(me.generation(), std::memory_order_relaxed);
  recount_cpus();
}

}  // namespace forkful::arena
