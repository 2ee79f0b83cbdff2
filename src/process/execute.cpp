// Starting by execution: what a child is to run is written into the arena, and the program is
// executed once more with a marker in its environment. Also the child's side, from init() on, which
// the fork server's children share.
//
// A starter that is killed in the middle leaves a reserved member, which a sweep gives back. A
// child that finds no family, or another one's, says so on stderr and exits with code 1.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <forkful/errors.hpp>
#include <utility>
#include <vector>

#include "arena/member_name.hpp"
#include "arena/membership.hpp"
#include "arena/shares.hpp"
#include "kernel/child.hpp"
#include "kernel/fault.hpp"
#include "kernel/process_info.hpp"
#include "kernel/random.hpp"
#include "process/host.hpp"
#include "process/member_entry.hpp"
#include "process/start.hpp"

namespace forkful {
namespace process {
namespace {

using arena::ArenaJournal;
using base::MemberId;
using base::Offset;

// Writes what `child` shall run into a block that is the child's.
void write_start(MemberId child, const StartWords& words, Bytes payload,
                 const std::vector<int>& descriptors) {
  const std::size_t list = descriptors.size() * sizeof(int);
  const std::size_t bytes = sizeof words + list + payload.size();
  // This member's until the commit below: a death before it frees the run.
  const Offset run = arena::allocate_run(bytes);
  std::byte* at = arena::at(run, bytes);
  std::memcpy(at, &words, sizeof words);
  if (list != 0) std::memcpy(at + sizeof words, descriptors.data(), list);
  if (!payload.empty()) std::memcpy(at + sizeof words + list, payload.data(), payload.size());
  ArenaJournal journal;
  arena::stage_owner(journal, run, child.bits);
  journal.commit();
  // Release: pairs with the acquire in take_start().
  arena::member(child).start.store(run, std::memory_order_release);
}

struct ToRun {
  Entry entry;
  std::vector<int> descriptors;
  std::vector<std::byte> payload;
};

// Any member may have written over the words, so each number is compared with the run before it is
// used.
ToRun take_start(MemberId me) {
  const auto refuse = [] { throw Error("what this process was started for is not in the arena"); };
  // Acquire: pairs with the release in write_start().
  const Offset run = arena::member(me).start.load(std::memory_order_acquire);
  StartWords words;
  if (!arena::is_run(run, sizeof words)) refuse();
  std::memcpy(&words, arena::at(run), sizeof words);
  // Not in sum, which damaged numbers make wrap around.
  const std::uint64_t room = arena::run_bytes(run) - sizeof words;
  const std::uint64_t list = std::uint64_t{words.descriptors} * sizeof(int);
  if (list > room || words.payload_bytes > room - list) refuse();
  const std::byte* from = arena::at(run, sizeof words + list + words.payload_bytes) + sizeof words;
  ToRun what{detail::function_at<void(Bytes)>(words.entry),
             std::vector<int>(words.descriptors),
             {from + list, from + list + words.payload_bytes}};
  if (list != 0) std::memcpy(what.descriptors.data(), from, list);
  // What it held was copied, so nothing of the arena is kept for as long as the process runs.
  arena::free_run(run);
  return what;
}

// The lifelines first: they may fail for want of descriptors, and nothing is reserved yet. `words`
// lack the nonce.
Marker reserve(const Plan& plan, StartWords words, Bytes payload,
               std::span<const bytes::Shared> shares, const std::vector<int>& descriptors) {
  arena::join_family();
  Marker marker;
  marker.lifelines = make_lifelines();
  const MemberId child =
      arena::reserve_member(flags_of(plan.daemonic, plan.pool_worker), sync::self(), {});
  try {
    marker.invitation = arena::invite(child, kernel::random_number());
    arena::name_member(child, plan.name);
    arena::give_shares(child, shares);
    words.nonce = marker.invitation.nonce;
    write_start(child, words, payload, descriptors);
    FORKFUL_FAULT("start.invited");
    return marker;
  } catch (...) {
    arena::process_ended(child);
    throw;
  }
}

}  // namespace

std::vector<std::string>& program_arguments() {
  static auto* arguments = new std::vector<std::string>;
  return *arguments;
}

void require_init() {
  if (!program_arguments().empty()) return;
  (void)require_host();
}

int execute_again(const Marker& wanted, std::span<const int> carried) {
  Marker marker = wanted;
  // Kept until the execution, which happens in this call.
  const auto lowered = marker.lower_descriptors();
  std::vector<int> kept = marker.descriptors();
  kept.insert(kept.end(), carried.begin(), carried.end());
  if (program_arguments().empty()) return execute_host(marker, kept);
  return kernel::execute(kernel::own_program(), program_arguments(), {marker.text()}, kept);
}

Marker invite(const Plan& plan, Entry entry, Bytes payload, const bytes::Carried& carried) {
  require_init();
  const StartWords words{0, detail::place_of(entry),
                         static_cast<std::uint32_t>(carried.descriptors.size()), 0, payload.size()};
  return reserve(plan, words, payload, carried.shares, carried.descriptors);
}

Marker reserve_place(const Plan& plan, std::span<const bytes::Shared> shares) {
  return reserve(plan, {}, {}, shares, {});
}

void take_place(const Marker& marker) {
  arena::accept_invitation(marker.invitation);
  const MemberId me = marker.invitation.member;
  hang_executed(arena::member(me).flags.load(), marker.lifelines);
  FORKFUL_FAULT("start.accepted");
}

Started start_by_execution(const Plan& plan, Entry entry, Bytes payload,
                           const bytes::Carried& carried) {
  const Marker marker = invite(plan, entry, payload, carried);
  const MemberId child = marker.invitation.member;
  try {
    return {execute_again(marker, carried.descriptors), child};
  } catch (...) {
    arena::process_ended(child);
    throw;
  }
}

void drop_start(MemberId me) {
  // Acquire: pairs with the release in write_start().
  const Offset run = arena::member(me).start.load(std::memory_order_acquire);
  if (arena::is_run(run, sizeof(StartWords))) arena::free_run(run);
}

void run_invited(const Marker& marker, std::optional<std::vector<int>> received) {
  try {
    take_place(marker);
    const MemberId me = marker.invitation.member;
    ToRun what = take_start(me);
    if (received) what.descriptors = std::move(*received);
    for (const int fd : what.descriptors) kernel::close_on_exec(fd);
    set_carried_descriptors(std::move(what.descriptors));
    kernel::at_exit_with_code(arena::leave_family);
    // exit() and not _exit(): it is a program of its own, whose atexit() handlers and static
    // objects have their turn.
    std::exit(run_entry(what.entry, what.payload, arena::name_of(arena::member(me))));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forkful: a process cannot start: %s\n", error.what());
  }
  std::exit(1);
}

void become_what_is_marked() {
  const char* words = std::getenv(kMarkerName);
  if (words == nullptr) return;
  if (kernel::has_rights_of_its_file()) {
    std::fprintf(stderr,
                 "forkful: a process cannot start: this program has rights of its file (setuid, "
                 "setgid or capabilities), so it does not believe the environment's %s; start with "
                 ".context = Context::fork\n",
                 kMarkerName);
    std::exit(1);
  }
  Marker marker;
  const bool whole = marker.parse(words);
  ::unsetenv(kMarkerName);  // or what this process starts would take it for its own
  if (!whole) {
    std::fprintf(stderr, "forkful: a process cannot start: %s is malformed\n", kMarkerName);
    std::exit(1);
  }
  if (marker.server >= 0) serve(marker);
  run_invited(marker, std::nullopt);
}

}  // namespace process

inline namespace v0 {
namespace bytes {

void init(int argc, char** argv) {
  kernel::note_own_program();
  process::program_arguments().assign(argv, argv + argc);
  // A program may be executed without any argument; an empty list would mean that init() was not
  // called.
  if (argc == 0) process::program_arguments().emplace_back("forkful");
  process::become_what_is_marked();
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
