#include "arena/family.hpp"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <forkful/errors.hpp>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

#include "arena/cargo.hpp"
#include "arena/own_run.hpp"
#include "kernel/child.hpp"
#include "kernel/clock.hpp"
#include "kernel/error.hpp"
#include "kernel/fault.hpp"
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
class Processes final : public sync::Family {
 public:
  MemberId join() override {
    join_family();
    return {sync::self_word().load(std::memory_order_relaxed)};
  }
  End end_of(MemberId id) override;
  bool room_to_spin() override { return arena::room_to_spin(); }
  void look_around() override {
    // System calls, so not ahead of each of many short sleeps.
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
  void begin_sleep() override { arena::begin_sleep(sync::self()); }
  void end_sleep() override { arena::end_sleep(sync::self()); }
  void slice_ended() override {
    if (auto* look = g_at_slice_end.load(std::memory_order_acquire)) look();
  }

 private:
  static void sweep_if_crowded();
  std::atomic<std::int64_t> noted_ns_{0};  // when the affinity was last read
};

// Other threads wait for it with Python's interpreter lock, so whoever has it must not give that
// lock away and want it back. It waits for the arena's lock by IfStuck::leave, or bare.
class BareMutex {
 public:
  void lock() {
    mutex_.lock();
    sync::BareWaits::begin();
  }
  void unlock() {
    sync::BareWaits::end();
    mutex_.unlock();
  }

 private:
  std::mutex mutex_;
};

// This process's part. Never destroyed: handles may outlive main.
struct Local {
  BareMutex mutex;  // held across fork, so that a child finds the rest whole
  kernel::KeptFd arena;
  kernel::KeptFd liveness;
  std::unordered_map<Offset, Held*> held;
  std::vector<std::uint64_t> free_entries;
  std::unordered_map<Offset, std::uint64_t> given;  // shares from birth that wait for adoption
  std::uint64_t capacity = 0;
  MemberId me;      // as g_self, but a fork does not wipe it
  MemberId forked;  // reserved by a fork under way
  bool detached = false;
  bool hooked = false;
  bool watched = false;  // g_self is on a page of its own
  std::vector<void (*)()> child_actions;
};

Local& local() {
  static Local* one = new Local;
  return *one;
}

thread_local std::uint32_t t_fork_flags = 0;
thread_local MemberId t_last_forked;
// Where a fork under way says that the arena's lock is stuck; without it, it waits.
thread_local sync::StuckLock* t_fork_stuck = nullptr;

void set_self(MemberId me) { sync::self_word().store(me.bits, std::memory_order_release); }
MemberId get_self() { return {sync::self_word().load(std::memory_order_acquire)}; }

// The liveness file's descriptor; -1 where the program has closed it.
int liveness_fd(const Local& here) { return here.liveness.get(); }

End Processes::end_of(MemberId id) { return arena::end_of(id); }

void note_free_entries(Local& here, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t i = to; i > from; --i) here.free_entries.push_back(i - 1);
}

// --- fork ---

void join_late(Local& here);

void reserve_for_child(Local& here) {
  if (here.capacity == 0 || here.detached) return;
  try {
    if (!get_self()) join_late(here);
    if (t_fork_stuck == nullptr) sweep_members(get_self(), liveness_fd(here));
    const auto if_stuck = t_fork_stuck != nullptr ? IfStuck::leave : IfStuck::wait;
    here.forked = reserve_member(t_fork_flags, get_self(), get_self(), if_stuck);
  } catch (const sync::StuckLock& stuck) {
    *t_fork_stuck = stuck;
  } catch (const std::exception&) {
    // Why: no place or no memory for another member; the child says so at its first use.
  }
}

void try_sweep() {
  try {
    sweep_members(sync::self(), liveness_fd(local()));
  } catch (const std::exception&) {
    // Why: whoever sleeps or starts a process next looks again.
  }
}

// A fork of the program's own that ended by _exit is nobody's to reap, and as long as it counts
// nobody spins.
void Processes::sweep_if_crowded() {
  if (!arena::room_to_spin()) try_sweep();
}

void before_fork() {
  Local& here = local();
  here.mutex.lock();
  here.forked = {};
  reserve_for_child(here);
  lock_mapping();  // last, since the reservation may map
}

void after_fork_in_parent() {
  Local& here = local();
  t_last_forked = here.forked;
  unlock_mapping();
  here.mutex.unlock();
}

// The kernel has wiped who we were.
void become(Local& here, MemberId me) {
  set_self(me);
  here.detached = !me || !claim_member(me, liveness_fd(here));
  if (here.detached) {
    set_self({});
  } else {
    here.me = me;
  }
}

void after_fork_in_child() {
  Local& here = local();
  // Its parent forks again.
  if (t_fork_stuck != nullptr && t_fork_stuck->word != nullptr) kernel::exit_now(0);
  unlock_mapping();
  t_fork_stuck = nullptr;
  t_last_forked = {};
  const bool was_member = here.capacity != 0;
  if (was_member) {
    try {
      become(here, here.forked);
    } catch (const std::exception&) {
      here.detached = true;
    }
  }
  here.mutex.unlock();
  if (was_member) {
    for (void (*action)() : here.child_actions) action();
  }
}

// --- the first use ---

[[noreturn]] void refuse_detached() {
  throw Error(
      "this process was forked when its family had no room for another member (32,703, or no "
      "memory left): nothing of forkful can be used in it");
}

void hook(Local& here) {
  if (here.hooked) return;
  here.hooked = true;
  ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  std::atexit([] { leave_family(); });
  std::at_quick_exit(end_wilfully);
}

void begin(Local& here, MemberId me) {
  // Never destroyed, as Local: threads may wait while static objects die.
  static auto* const processes = new Processes;
  hook(here);
  sync::g_family.store(processes, std::memory_order_release);
  become(here, me);
  if (here.detached) refuse_detached();
  here.capacity = holdings_capacity(member(me).holdings);
  for (std::uint64_t i = here.capacity; i > 0; --i) {
    const Offset object = at<Offset>(holding_at(member(me).holdings, i - 1));
    if (object == 0) {
      here.free_entries.push_back(i - 1);
    } else {
      here.given.emplace(object, i - 1);
    }
  }
}

void watch_for_forks(Local& here) {
  if (std::exchange(here.watched, true)) return;
  constexpr std::size_t kPage = 4096;
  sync::g_self.store(new (kernel::map_wipe_on_fork(kPage)) std::atomic<std::uint32_t>(0),
                     std::memory_order_release);
}

void make_arena(Local& here) {
  here.arena = kernel::KeptFd(kernel::make_memfd("forkful-arena", 0));
  use_arena(here.arena.get());
  grow_arena(kWindowBytes);
  here.liveness = kernel::KeptFd(kernel::make_memfd("forkful-liveness", kMembers));
  Header& head = header();
  head.magic = kMagic;
  head.layout_version = kLayoutVersion;
  head.family_id = kernel::random_number();
  head.quota_cpus = kernel::cgroup_cpus();
  head.first_slot_unused = 1;
  // Alone still, so the journal may be used under the name that the first member will have.
  watch_for_forks(here);
  set_self(MemberId::of(1, 1));
  format_heap();
  set_self({});
}

// The child of a raw clone: no handler ran, so it joins now, with what it finds it holds.
void join_late(Local& here) {
  set_self(late_name(kernel::current_pid()));
  const MemberId me = reserve_member(0, here.me, {});
  {
    ArenaJournal journal;
    const Offset list = member(me).holdings;
    const Offset larger = stage_holdings(journal, here.capacity);
    journal.set(kMembersAt + me.slot() * sizeof(Member) + offsetof(Member, holdings), larger);
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

// This member's list of holdings, which has room for `capacity`.
Offset own_holdings(std::uint64_t capacity) {
  const Offset list = member(get_self()).holdings;
  if (holdings_capacity(list) != capacity) damaged();
  return list;
}

// Requires: here.mutex held, here and below.
Offset entry_at(const Local& here, std::uint64_t index) {
  return holding_at(own_holdings(here.capacity), index);
}

// A free place in this member's list of holdings.
// Throws: OsError(ENOSPC), StuckLock: nothing is changed.
std::uint64_t take_entry(Local& here) {
  if (here.free_entries.empty()) {
    const MemberId me = get_self();
    const std::uint64_t capacity = here.capacity * 2 + 1;
    ArenaJournal journal(IfStuck::leave);
    const Offset old = own_holdings(here.capacity);
    const Offset larger = stage_holdings(journal, capacity);
    const std::uint64_t* from = &at<std::uint64_t>(old, holdings_bytes(here.capacity));
    std::uint64_t* to = &at<std::uint64_t>(larger, holdings_bytes(capacity));
    for (std::uint64_t i = 1; i <= here.capacity; ++i) {
      if (i != kHoldingsLink) to[i] = from[i];
    }
    journal.set(larger + kHoldingsLink * sizeof(Offset), from[kHoldingsLink]);
    journal.set(kMembersAt + me.slot() * sizeof(Member) + offsetof(Member, holdings), larger);
    stage_free(journal, old, holdings_bytes(here.capacity));
    journal.commit();
    note_free_entries(here, here.capacity, capacity);
    here.capacity = capacity;
  }
  const std::uint64_t entry = here.free_entries.back();
  here.free_entries.pop_back();
  return entry;
}

// The object's bytes, which another member may have written over.
std::uint64_t believable_bytes(Offset object, std::uint64_t least) {
  const std::uint64_t bytes = at<ObjectHeader>(object).bytes;
  if (bytes < least || !is_allocated(object, bytes)) damaged();
  return bytes;
}

Held* keep(Local& here, Offset object, std::uint64_t entry, std::uint64_t least_bytes) {
  const std::uint64_t bytes = believable_bytes(object, least_bytes);
  std::byte* const address = at(object, bytes);
  Held* held = new Held;
  held->object = object;
  held->address = address;
  held->bytes = bytes;
  held->serial = serial_in(at<ObjectHeader>(object).kind_and_serial);
  held->entry = entry;
  here.held.emplace(object, held);
  return held;
}

}  // namespace

bool has_family() { return get_self().bits != 0; }

void join_family() {
  if (get_self()) return;
  Local& here = local();
  const std::lock_guard lock(here.mutex);
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
  const Local& here = local();
  if (!here.arena || !here.liveness) {
    kernel::throw_error(EBADF, "start",
                        "a member: this process has closed the arena's descriptors");
  }
  return {here.arena.get(), here.liveness.get(), member, nonce};
}

namespace {

// What a program made before init(), in words by which its author finds it.
std::string first_made(const Local& here) {
  const Held* first = nullptr;
  for (const auto& [offset, held] : here.held) {
    if (first == nullptr || held->serial < first->serial) first = held;
  }
  if (first == nullptr) return "something of forkful";
  return std::string("a ") + name_of(kind_in(at<ObjectHeader>(first->object).kind_and_serial));
}

// An old marker, or one that a program passed on to another, must not make a member of anyone.
bool is_invited(const Invitation& invitation) {
  const Member& slot = member(invitation.member);
  const std::uint64_t state = slot.state.load(std::memory_order_acquire);
  const Offset start = slot.start.load(std::memory_order_acquire);
  if (state_in(state) != MemberState::reserved ||
      generation_in(state) != invitation.member.generation() ||
      !is_run(start, sizeof invitation.nonce) || at<std::uint64_t>(start) != invitation.nonce) {
    return false;
  }
  // One outside of this process's pid namespace has no pid here.
  const MemberId parent{slot.parent.load()};
  const int pid = pid_seen_here(parent);
  if (pid == 0 || pid == kernel::parent_pid() || kernel::parent_pid() == 0) return true;
  // A parent that has ended meanwhile is nobody's parent any more, and its place in the table may
  // be another member's. Race: its lock is let go with its memory, and whoever reads /proc/PID of
  // it at that moment keeps that a little longer than the kernel keeps its children's parent.
  constexpr int kLooks = 100;
  for (int look = 0; look < kLooks; ++look) {
    if (end_of(parent, {}, invitation.liveness_fd) != End::alive) return true;
    kernel::pause_ms(1);
  }
  return false;
}

}  // namespace

void accept_invitation(const Invitation& invitation) {
  Local& here = local();
  const std::lock_guard lock(here.mutex);
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
  use_arena(here.arena.get());
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

std::vector<Offset> objects_of(bytes::Shares shares) {
  std::vector<Offset> objects;
  objects.reserve(shares.size());
  for (const bytes::Shared& each : shares) objects.push_back(each.name().offset);
  return objects;
}

void give_shares(MemberId child, std::span<const bytes::Shared> objects) {
  std::vector<Offset> offsets = objects_of(objects);
  std::sort(offsets.begin(), offsets.end());  // one share is enough of what comes twice
  offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
  if (offsets.size() > kFirstHoldings) {
    // The child is not there yet and its list is empty still: a longer one takes its place.
    ArenaJournal journal;
    const Offset list = member(child).holdings;
    journal.set(kMembersAt + child.slot() * sizeof(Member) + offsetof(Member, holdings),
                stage_holdings(journal, offsets.size()));
    stage_free(journal, list, holdings_bytes(kFirstHoldings));
    journal.commit();
  }
  const Offset list = member(child).holdings;
  for (std::uint64_t i = 0; i < offsets.size(); ++i) {
    ArenaJournal journal;
    stage_hold(journal, offsets[i], holding_at(list, i));
    journal.commit();
  }
}

void plan_fork(std::uint32_t flags) {
  t_fork_flags = flags;
  t_last_forked = {};
}

MemberId last_forked() { return t_last_forked; }

int fork_process(const std::function<void()>& before, const std::function<void(int)>& after,
                 Wait& wait) {
  for (;;) {
    sync::StuckLock stuck{nullptr};
    if (get_self()) {
      reap_put_off();
      try_sweep();
    }
    before();
    t_fork_stuck = &stuck;
    int pid = 0;
    try {
      pid = kernel::fork_process();
    } catch (...) {
      t_fork_stuck = nullptr;
      after(-1);
      process_ended(t_last_forked);
      plan_fork(0);
      throw;
    }
    if (pid == 0) return 0;
    t_fork_stuck = nullptr;
    if (stuck.word == nullptr) {
      after(pid);
      return pid;
    }
    kernel::end_child(pid);
    after(-1);
    if (sync::await_stuck(stuck, wait) == Waited::interrupted) {
      plan_fork(0);
      return -1;
    }
  }
}

void at_fork_in_child(void (*action)()) {
  Local& here = local();
  const std::lock_guard lock(here.mutex);
  here.child_actions.push_back(action);
}

void at_slice_end(void (*action)()) { g_at_slice_end.store(action, std::memory_order_release); }

End end_of(MemberId id) { return arena::end_of(id, sync::self(), liveness_fd(local())); }

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
  static constexpr int kMost = 16;
  std::atomic<std::uint32_t> ids_[kMost] = {};
};

PutOff g_put_off;

// False where the arena's lock is stuck.
bool reap_ended(MemberId id) {
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
// slots at a time, so this process does it as soon as it can.
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

// --- shares in objects ---

namespace {

// Zeroed memory of this member's, for objects that take long to zero; nothing for others.
OwnRun large_memory(std::uint64_t bytes) {
  constexpr std::uint64_t kLarge = 64 << 10;
  if (bytes < kLarge) return {};
  OwnRun run(allocate_run(bytes));
  std::memset(at(run.get(), bytes), 0, bytes);
  return run;
}

[[noreturn]] void refuse_alien(Kind kind) {
  throw Error(std::string("this ") + name_of(kind) +
              " belongs to another family of processes, whose memory this process does not "
              "share: it was pickled there and read here. Only processes that forkful started, and "
              "those they started, share objects: make it in a common ancestor and pass it to the "
              "Process or Pool, or send it through a queue of that family");
}

}  // namespace

Held* create_object(Kind kind, std::uint64_t bytes, void (*fill)(void*, std::byte*),
                    void* context) {
  join_family();
  OwnRun large = large_memory(bytes);
  return sync::get_through([&] {
    Local& here = local();
    const std::lock_guard lock(here.mutex);
    const std::uint64_t entry = take_entry(here);
    try {
      ArenaJournal journal(IfStuck::leave);
      const Offset object = stage_create(journal, kind, bytes, entry_at(here, entry), large.get());
      fill(context, at(object, bytes));
      journal.commit();
      large.release();
      return keep(here, object, entry, bytes);
    } catch (...) {
      here.free_entries.push_back(entry);
      throw;
    }
  });
}

namespace {

// The share in it that this process has or was born with; nullptr: none.
// Requires: here.mutex held. Throws: Error, StuckLock.
Held* find_share(Local& here, Kind kind, Offset object, std::uint64_t serial,
                 std::uint64_t least_bytes) {
  if (const auto found = here.held.find(object); found != here.held.end() &&
                                                 found->second->serial == serial &&
                                                 kind_in(at<std::uint64_t>(object)) == kind) {
    found->second->uses.fetch_add(1, std::memory_order_relaxed);
    return found->second;
  }
  const auto share = here.given.find(object);
  if (share == here.given.end()) return nullptr;
  {
    ArenaJournal journal(IfStuck::leave);
    if (!is_object(journal, object, kind, serial)) {
      throw Error(std::string("what came with this process's start is no ") + name_of(kind));
    }
  }
  const std::uint64_t entry = share->second;
  here.given.erase(share);
  return keep(here, object, entry, least_bytes);
}

}  // namespace

Held* adopt_object(Kind kind, const bytes::Shared::Name& name, std::uint64_t least_bytes) {
  join_family();
  if (name.family != header().family_id) refuse_alien(kind);
  return sync::get_through([&] {
    const auto [family, object, serial] = name;
    Local& here = local();
    const std::lock_guard lock(here.mutex);
    if (Held* held = find_share(here, kind, object, serial, least_bytes)) return held;
    const std::uint64_t entry = take_entry(here);
    try {
      ArenaJournal journal(IfStuck::leave);
      if (!is_object(journal, object, kind, serial)) {
        throw Error(std::string("the ") + name_of(kind) +
                    " that came to this process is gone: nobody held it any more. A handle that is "
                    "pickled by hand keeps what it names; one that was read from a message by hand "
                    "does not outlive it");
      }
      (void)believable_bytes(object, least_bytes);
      stage_hold(journal, object, entry_at(here, entry));
      journal.commit();
    } catch (...) {
      here.free_entries.push_back(entry);
      throw;
    }
    return keep(here, object, entry, least_bytes);
  });
}

namespace {

// Ends one use of several; false where it is the only one.
bool end_a_use(Held* held) {
  std::uint32_t uses = held->uses.load(std::memory_order_acquire);
  while (uses > 1) {
    if (held->uses.compare_exchange_weak(uses, uses - 1, std::memory_order_acq_rel)) return true;
  }
  return false;
}

// True when the share is given back with it. Throws: StuckLock; then the use has not ended.
bool end_last_use(Held* held) {
  Local& here = local();
  // It may be found again by adopt_object() until it leaves the table.
  const std::lock_guard lock(here.mutex);
  if (end_a_use(held)) return false;
  try {
    if (get_self()) {
      ArenaJournal journal(IfStuck::leave);
      stage_release(journal, entry_at(here, held->entry));
      journal.commit();
    }
    here.free_entries.push_back(held->entry);
  } catch (const std::exception&) {
    // Why: destructors give back. What is damaged, or cannot be mapped here, stays this member's
    // until its end.
  }
  here.held.erase(held->object);
  delete held;
  return true;
}

void give_back(Held* held) noexcept {
  if (end_a_use(held)) return;
  const bool last = sync::get_through([&] { return end_last_use(held); });
  if (last && get_self()) bury_the_dying();
}

}  // namespace
}  // namespace forkful::arena

namespace forkful {
inline namespace v0 {
namespace bytes {

Shared::Shared(const Shared& other) noexcept : held_(other.held_) {
  if (held_ != nullptr) held_->uses.fetch_add(1, std::memory_order_relaxed);
}

Shared::~Shared() {
  if (held_ != nullptr) arena::give_back(held_);
}

Shared::Name Shared::name() const {
  return {arena::header().family_id, held().object, held().serial};
}

void Shared::pin() const {
  arena::ArenaJournal journal;
  arena::stage_pin(journal, held().object);
  journal.commit();
}

Parcel::Parcel(Shares shares) { held_ = arena::make_parcel(arena::objects_of(shares)); }

void Parcel::sent() const { arena::send_parcel(held_->object); }

void Parcel::received(const Name& name) {
  if (!arena::has_family() || name.family != arena::header().family_id) return;
  arena::end_parcel(name.offset, name.serial);
}

arena::Held& Shared::held() const {
  if (held_ == nullptr) throw Error("this handle is empty: what it shared was moved elsewhere");
  return *held_;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
