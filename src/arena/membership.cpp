// How this process becomes a member: the first of a new arena, one that was invited, or the child
// of a raw clone; and how it leaves. Forks are in at_fork.cpp, the table itself in members.cpp.
//
// Any thread may come here first. What is done under Local::mutex is held across forks, so a child
// finds it done or not begun.
#include "arena/membership.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <forkful/errors.hpp>
#include <new>
#include <string>

#include "arena/at_fork.hpp"
#include "arena/awake.hpp"
#include "arena/heap.hpp"
#include "arena/local.hpp"
#include "arena/regain.hpp"
#include "arena/shares.hpp"
#include "kernel/child.hpp"
#include "kernel/clock.hpp"
#include "kernel/error.hpp"
#include "kernel/memfd.hpp"
#include "kernel/process_info.hpp"
#include "kernel/random.hpp"

namespace forkful::arena {
namespace {

using sync::IfStuck;

std::atomic<void (*)()> g_at_slice_end{nullptr};

// Whether this thread is in look_around(). What that does takes the arena's lock, and where the
// lock's owner is stopped, waiting for it is a sleep that would look around again.
thread_local bool t_looks_around = false;

// Answers for the family of real processes.
class Processes final : public sync::Liveness {
 public:
  MemberId join() override {
    join_family();
    return {sync::self_word().load(std::memory_order_relaxed)};
  }
  End end_of(MemberId id) override;
  bool room_to_spin() override { return arena::room_to_spin(); }
  void look_around() override {
    // System calls, so not ahead of each of many short sleeps.
    // A guess: some system calls a millisecond do not show.
    constexpr std::int64_t kNoteEveryNs = 1'000'000;
    const std::int64_t now = kernel::monotonic_ns();
    if (t_looks_around || now - noted_ns_.load(std::memory_order_relaxed) < kNoteEveryNs) return;
    noted_ns_.store(now, std::memory_order_relaxed);
    t_looks_around = true;
    note_affinity(sync::self());
    reap_put_off();
    sweep_if_crowded();
    t_looks_around = false;
  }
  void begin_sleep(const sync::SleepsAt& place, std::int64_t since_ns) override {
    arena::begin_sleep(sync::self(), place, since_ns);
  }
  void end_sleep() override { arena::end_sleep(sync::self()); }
  void slice_ended() override {
    // Acquire: pairs with at_slice_end().
    if (auto* look = g_at_slice_end.load(std::memory_order_acquire)) look();
  }

 private:
  static void sweep_if_crowded();
  std::atomic<std::int64_t> noted_ns_{0};  // when the affinity was last read
};

End Processes::end_of(MemberId id) { return arena::end_of(id); }

// A fork of the program's own that ended by _exit is nobody's to reap, and as long as it counts
// nobody spins.
void Processes::sweep_if_crowded() {
  if (!arena::room_to_spin()) try_sweep();
}

[[noreturn]] void refuse_detached() {
  throw Error(
      "this process was forked when its family had no room for another member (32,703, or no "
      "memory left): nothing of forkful can be used in it");
}

// Once a process. Handlers that exit() runs are called in a forked child's exit() as well, which is
// then the child's own leaving.
void hook(Local& here) FORKFUL_REQUIRES(here.mutex) {
  if (here.hooked) return;
  here.hooked = true;
  handle_forks();
  std::atexit([] { leave_family(); });
  std::at_quick_exit(end_wilfully);
}

// From its birth a member has shares in what its starter gave it; each waits for its adoption. The
// others are free, the lowest on top.
void note_holdings(Local& here, MemberId me) FORKFUL_REQUIRES(here.mutex) {
  here.capacity = holdings_capacity(member(me).holdings);
  here.free_entries.clear();
  here.given.clear();
  for (std::uint64_t i = here.capacity; i > 0; --i) {
    const Offset object = at<Offset>(holding_at(member(me).holdings, i - 1));
    if (object == 0) {
      here.free_entries.push_back(i - 1);
    } else {
      here.given.emplace(object, i - 1);
    }
  }
}

void begin(Local& here, MemberId me) FORKFUL_REQUIRES(here.mutex) {
  // Never destroyed, as Local: threads may wait while static objects die.
  static auto* const processes = new Processes;
  hook(here);
  // Release: pairs with the acquire in sync::liveness(). Before become(), which takes locks whose
  // owners it must be able to ask for.
  sync::g_liveness.store(processes, std::memory_order_release);
  become(here, me);
  if (here.detached) refuse_detached();
  note_holdings(here, me);
}

void watch_for_forks(Local& here) FORKFUL_REQUIRES(here.mutex) {
  if (std::exchange(here.watched, true)) return;
  constexpr std::size_t kPage = 4096;
  // Release: pairs with the acquire in sync::self_word().
  sync::g_self.store(new (kernel::map_wipe_on_fork(kPage)) std::atomic<std::uint32_t>(0),
                     std::memory_order_release);
}

void make_arena(Local& here) FORKFUL_REQUIRES(here.mutex) {
  here.arena = kernel::KeptFd(kernel::make_memfd("forkful-arena", 0));
  use_arena(here.arena);
  grow_arena(kWindowBytes);
  here.liveness = kernel::KeptFd(kernel::make_memfd("forkful-liveness", kMembers));
  Header& head = header();
  head.magic = kMagic;
  head.layout_version = kLayoutVersion;
  head.family_id = kernel::random_number();
  for (std::uint64_t& each : head.hash_key) each = kernel::random_number();
  head.quota_cpus = kernel::cgroup_cpus();
  head.first_entry_unused = 1;
  // Alone still, so the journal may be used under the id that the first member will have.
  watch_for_forks(here);
  set_self(MemberId::of(1, 1));
  format_heap();
  set_self({});
}

}  // namespace

void try_sweep() {
  try {
    sweep_members(sync::self(), local().liveness.get());
  } catch (const std::exception&) {
    // Why: whoever sleeps or starts a process next looks again.
  }
}

// The child of a raw clone: no handler ran, so it joins now, with what it finds it holds.
void join_late(Local& here) {
  set_self(provisional_id(kernel::current_pid()));
  const MemberId me = reserve_member(0, here.me, {});
  {
    ArenaJournal journal;
    const Offset list = member(me).holdings;
    const Offset larger = stage_holdings(journal, here.capacity);
    journal.set(kMembersAt + me.index() * sizeof(Member) + offsetof(Member, holdings), larger);
    stage_free(journal, list, holdings_bytes(at<std::uint64_t>(list)));
    journal.commit();
    for (const auto& [offset, held] : here.held) {
      const Kind kind = kind_in(at<std::uint64_t>(offset));
      if (!is_object(journal, offset, kind, held->serial)) continue;
      stage_hold(journal, offset, holding_at(larger, held->entry));
      journal.commit();
    }
  }
  become(here, me);
}

bool has_family() { return get_self().bits != 0; }

void join_family() {
  if (get_self()) return;
  Local& here = local();
  const BareGuard lock(here.mutex);
  if (get_self()) return;
  if (here.detached) refuse_detached();
  if (here.capacity != 0) {
    join_late(here);
    if (here.detached) refuse_detached();
    return;
  }
  make_arena(here);
  const MemberId me = reserve_member(0, {}, {});
  header().root.store(me.bits);
  begin(here, me);
}

void leave_family() {
  if (get_self()) mark_left(get_self());
}

void leave_family(int exit_code) {
  if (!get_self()) return;
  note_exit_code(get_self(), exit_code);
  mark_left(get_self());
}

void end_wilfully() {
  if (get_self()) mark_wilful(get_self());
}

Invitation invite(MemberId member, std::uint64_t nonce) {
  Local& here = local();
  const int arena = regain(here.arena);
  const int liveness = regain(here.liveness);
  if (arena < 0 || liveness < 0) {
    kernel::throw_error(EBADF, "start",
                        "a member: the program has closed forkful's descriptors, which nobody else "
                        "has (" +
                            std::string(kWhoMayRegain) +
                            "). Start it by fork, or close them before "
                            "the first use of forkful");
  }
  return {arena, liveness, member, nonce};
}

int liveness_fd() { return regain(local().liveness); }

namespace {

// What a program made before init(), in words by which its author finds it.
std::string first_made(const Local& here) FORKFUL_REQUIRES(here.mutex) {
  const Held* first = nullptr;
  for (const auto& [offset, held] : here.held) {
    if (first == nullptr || held->serial < first->serial) first = held;
  }
  if (first == nullptr) return "something of forkful";
  return std::string("a ") + name_of(kind_in(at<ObjectHeader>(first->object).kind_and_serial));
}

// An old marker, or one that a program passed on to another, must not make a member of anyone.
bool is_invited(const Invitation& invitation) {
  const Member& entry = member(invitation.member);
  // Acquire: pairs with the commit that reserved the entry. The next one pairs with the release in
  // write_start() (process/execute.cpp).
  const std::uint64_t state = entry.state.load(std::memory_order_acquire);
  const Offset start = entry.start.load(std::memory_order_acquire);
  if (state_in(state) != MemberState::reserved ||
      generation_in(state) != invitation.member.generation() ||
      !is_run(start, sizeof invitation.nonce) || at<std::uint64_t>(start) != invitation.nonce) {
    return false;
  }
  // One outside of this process's pid namespace has no pid here.
  const MemberId parent{entry.parent.load()};
  const int pid = pid_seen_here(parent);
  if (pid == 0 || pid == kernel::parent_pid() || kernel::parent_pid() == 0) return true;
  // A parent that has ended meanwhile is nobody's parent any more, and its place in the table may
  // be another member's. Race: its lock is let go with its memory, and whoever reads /proc/PID of
  // it at that moment keeps that a little longer than the kernel keeps its children's parent.
  // A millisecond apart: a guess.
  constexpr int kLooks = 100;
  for (int look = 0; look < kLooks; ++look) {
    if (end_of(parent, {}, invitation.liveness_fd) != End::alive) return true;
    kernel::pause_ms(1);
  }
  return false;
}

// In the child of a raw clone of a member, which is invited to a place of its own: it takes along
// what it finds it holds. The other member holds all of that until it is asked to clone again.
void accept_in_clone(Local& here, const Invitation& invitation) FORKFUL_REQUIRES(here.mutex) {
  const bool same = kernel::file_of(invitation.arena_fd) == kernel::file_of(here.arena.get());
  // It has the family's descriptors already.
  if (invitation.arena_fd != here.arena.get()) kernel::Fd(invitation.arena_fd).reset();
  if (invitation.liveness_fd != here.liveness.get()) kernel::Fd(invitation.liveness_fd).reset();
  if (!same) throw Error("the invitation of this process is another family's than what it holds");
  if (!is_invited(invitation)) {
    throw Error("this process is not the one that the family's invitation is for");
  }
  const MemberId me = invitation.member;
  become(here, me);
  if (here.detached) refuse_detached();
  const std::uint64_t had = holdings_capacity(member(me).holdings);
  enlarge_holdings(me, had, had + here.held.size() + 1, sync::IfStuck::wait);
  note_holdings(here, me);
  for (const auto& [offset, held] : here.held) {
    if (const auto given = here.given.find(offset); given != here.given.end()) {
      held->entry = given->second;
      here.given.erase(given);
      continue;
    }
    held->entry = here.free_entries.back();
    here.free_entries.pop_back();
    ArenaJournal journal;
    const Kind kind = kind_in(at<std::uint64_t>(offset));
    // Gone where the other member was killed meanwhile; its place in the list stays empty then.
    if (!is_object(journal, offset, kind, held->serial)) continue;
    stage_hold(journal, offset, holding_at(member(me).holdings, held->entry));
    journal.commit();
  }
}

}  // namespace

void accept_invitation(const Invitation& invitation) {
  Local& here = local();
  const BareGuard lock(here.mutex);
  if (here.capacity != 0 && !get_self()) return accept_in_clone(here, invitation);
  if (here.capacity != 0) {
    throw Error(first_made(here) +
                " was made before forkful::init(): a global variable, perhaps, which each process "
                "makes anew when the program is executed once more. Make it in main after init(), "
                "and pass it to the processes that use it");
  }
  const std::uint64_t bytes = kernel::file_bytes(invitation.arena_fd);
  if (bytes == 0 || bytes % kWindowBytes != 0 || bytes > kArenaBytes) {
    throw Error("the invitation in this process's environment names no arena");
  }
  kernel::close_on_exec(invitation.arena_fd);
  kernel::close_on_exec(invitation.liveness_fd);
  here.arena = kernel::KeptFd(kernel::Fd(invitation.arena_fd));
  here.liveness = kernel::KeptFd(kernel::Fd(invitation.liveness_fd));
  use_arena(here.arena);
  const Header& head = header();
  if (head.magic != kMagic || head.layout_version != kLayoutVersion) {
    throw LayoutMismatch("the family's arena has memory layout " +
                         std::to_string(head.magic == kMagic ? head.layout_version : 0) +
                         ", this program's forkful has " + std::to_string(kLayoutVersion) +
                         ": build all members with one version of forkful");
  }
  if (!is_invited(invitation)) {
    throw Error(
        "this process is not the one that the family's invitation in its environment is for");
  }
  watch_for_forks(here);
  begin(here, invitation.member);
}

// Release: pairs with the acquire in Processes::slice_ended().
void at_slice_end(void (*action)()) { g_at_slice_end.store(action, std::memory_order_release); }

End end_of(MemberId id) { return arena::end_of(id, sync::self(), local().liveness.get()); }

namespace {

// Members whose processes were waited for here while the arena's lock was stuck. Without a lock of
// its own: it is used ahead of sleeps, and those for a lock are among them.
class PutOff {
 public:
  // Where there is no room for it, a sweep finds it.
  void add(MemberId id) {
    for (auto& each : ids_) {
      std::uint32_t none = 0;
      if (each.compare_exchange_strong(none, id.bits)) return;
    }
  }
  // One of them; nobody where there is none.
  MemberId take() {
    for (auto& each : ids_) {
      if (each.load(std::memory_order_relaxed) == 0) continue;
      if (const MemberId id{each.exchange(0)}) return id;
    }
    return {};
  }

 private:
  // A guess: more children than a program waits for while the lock is stuck. What finds no room is
  // left to sweeps.
  static constexpr int kMost = 16;
  std::atomic<std::uint32_t> ids_[kMost] = {};
};

PutOff g_put_off;

// False where the arena's lock is stuck.
bool reap_ended(MemberId id) {
  // Acquire: pairs with mark_left().
  const MemberState state = state_in(member(id).state.load(std::memory_order_acquire));
  try {
    reap(id, state == MemberState::left ? End::left : End::died, IfStuck::leave);
  } catch (const sync::StuckLock&) {
    return false;
  }
  return true;
}

}  // namespace

// Why put off: a join with a time-out does not wait for a stopped member. Sweeps look at two of all
// entries at a time, so this process does it as soon as it can.
void process_ended(MemberId id) {
  if (!id) return;
  if (reap_ended(id)) {
    reap_put_off();
  } else {
    g_put_off.add(id);
  }
}

void reap_put_off() noexcept try {
  while (const MemberId id = g_put_off.take()) {
    if (reap_ended(id)) continue;
    g_put_off.add(id);
    return;
  }
} catch (const std::exception&) {
  // Why: whoever sweeps the table next tries again.
}
}  // namespace forkful::arena
