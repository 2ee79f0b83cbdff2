// What the Python package asks of the family beside its objects: who belongs to it, and the steps
// of a start by fork, since os.fork() and what is around it are Python's. Also figures for both
// languages.
//
// Threads: any, but a start's steps belong to one thread. A starter that is killed between them
// leaves a reserved member at most, which a sweep gives back.
#include <algorithm>
#include <forkful/bytes/family.hpp>

#include "arena/at_fork.hpp"
#include "arena/member_name.hpp"
#include "arena/membership.hpp"
#include "kernel/child.hpp"
#include "kernel/process_info.hpp"
#include "process/lifelines.hpp"
#include "process/member_entry.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

// Of that member if it is still alive afterwards.
MemberInfo info_of(const arena::Member& entry) {
  const int pid = entry.pid.load();  // before the name: see name_of()
  const std::string name = arena::name_of(entry);
  const std::uint32_t flags = entry.flags.load();
  return {name.empty() ? "MainProcess" : name, pid, (flags & arena::kDaemonic) != 0,
          (flags & arena::kPoolWorker) != 0};
}

}  // namespace

MemberInfo this_member() {
  arena::join_family();
  return info_of(arena::member(sync::self()));
}

std::optional<MemberInfo> parent_member() {
  arena::join_family();
  const sync::MemberId parent{arena::member(sync::self()).parent.load()};
  if (!parent) return std::nullopt;
  MemberInfo info = info_of(arena::member(parent));
  if (arena::end_of(parent) != sync::End::alive) return std::nullopt;
  return info;
}

std::vector<MemberInfo> child_members() {
  std::vector<MemberInfo> children;
  if (!arena::has_family()) return children;
  for (const sync::MemberId each : arena::children_of(sync::self())) {
    MemberInfo child = info_of(arena::member(each));
    // One that another thread is just starting has no process yet, and 0 would be taken for one: a
    // signal to it goes to the caller's group.
    if (child.pid == 0) continue;
    if (arena::end_of(each) == sync::End::alive) children.push_back(std::move(child));
  }
  return children;
}

void join_family() { arena::join_family(); }

void accept_invitation(int arena_fd, int liveness_fd, std::uint32_t member, std::uint64_t nonce) {
  arena::accept_invitation({arena_fd, liveness_fd, {member}, nonce});
}

LivenessFile liveness_file() {
  arena::join_family();
  return {arena::liveness_fd(), arena::kMembers};
}

void before_start(const ForkPlan& plan) {
  arena::join_family();
  (void)process::make_lifelines();
  arena::plan_fork(process::flags_of(plan.daemonic, plan.pool_worker), plan.name);
}

int fork_process(const std::function<void()>& before, const std::function<void(int)>& after,
                 Wait& wait) {
  return arena::fork_process(before, after, wait);
}

// The plan is taken back, so that a later fork of the program's own is not taken for a start of
// ours.
std::uint32_t started() {
  const auto child = arena::last_forked();
  arena::plan_fork(0);
  return child.bits;
}

void after_start_in_child() {
  arena::plan_fork(0);
  arena::join_family();
  process::hang_forked(arena::member(sync::self()).flags.load());
}

void process_ended(std::uint32_t member) { arena::process_ended({member}); }

void leave_family() { arena::leave_family(); }

void leave_family(int exit_code) { arena::leave_family(exit_code); }

void exit_now(int exit_code) {
  arena::end_wilfully();
  kernel::exit_now(exit_code);
}

unsigned default_cpu_count() {
  return std::max(1u, std::min(kernel::affinity_count(), kernel::cgroup_cpus()));
}

HeapUse heap_use() {
  if (!arena::has_family()) return {};
  // First, or what ended members held would be counted as used.
  arena::reap_put_off();
  const auto use = arena::heap_use();
  const auto& head = arena::header();
  return {use.used_bytes, use.warm_bytes,
          std::atomic_ref(arena::header().windows_used).load() * arena::kWindowBytes,
          head.members_live.load()};
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
