#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <forkful/errors.hpp>
#include <locale>
#include <random>
#include <sstream>
#include <vector>

#include "arena/family.hpp"
#include "kernel/child.hpp"
#include "process/lifelines.hpp"
#include "process/start.hpp"

namespace forkful {
namespace process {
namespace {

using arena::ArenaJournal;
using base::MemberId;
using base::Offset;

// What init() was given; empty before it. Never destroyed: see the State of lifelines.cpp.
std::vector<std::string>& program_arguments() {
  static auto* arguments = new std::vector<std::string>;
  return *arguments;
}

std::uint64_t make_nonce() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

// Everything about the child that the environment carries.
struct Marker {
  arena::Invitation invitation;
  Lifelines lifelines;

  [[nodiscard]] std::string text() const {
    char text[128];
    std::snprintf(text, sizeof text, "%s=%d,%d,%d,%d,%u,%u,%llu", kMarkerName, invitation.arena_fd,
                  invitation.liveness_fd, lifelines.parent, lifelines.root,
                  lifelines.root_member.bits, invitation.member.bits,
                  static_cast<unsigned long long>(invitation.nonce));
    return text;
  }
  [[nodiscard]] bool parse(const char* text) {
    std::istringstream from(text);
    from.imbue(std::locale::classic());
    char comma = 0;
    from >> invitation.arena_fd >> comma >> invitation.liveness_fd >> comma >> lifelines.parent >>
        comma >> lifelines.root >> comma >> lifelines.root_member.bits >> comma >>
        invitation.member.bits >> comma >> invitation.nonce;
    return !from.fail();
  }
};

// Writes what `child` shall run into a block that is the child's.
void write_start(MemberId child, const StartWords& words, bytes::Bytes payload) {
  const Offset run = arena::allocate_run(sizeof words + payload.size());
  std::byte* at = arena::at(run, sizeof words + payload.size());
  std::memcpy(at, &words, sizeof words);
  if (!payload.empty()) std::memcpy(at + sizeof words, payload.data(), payload.size());
  ArenaJournal journal;
  arena::stage_owner(journal, run, child.bits);
  journal.commit();
  arena::member(child).start.store(run, std::memory_order_release);
}

struct ToRun {
  bytes::RawProcess::Entry entry;
  std::vector<std::byte> payload;
};

ToRun take_start(MemberId me) {
  const Offset run = arena::member(me).start.load(std::memory_order_acquire);
  StartWords words;
  std::memcpy(&words, arena::at(run), sizeof words);
  if (!arena::is_run(run, sizeof words + words.payload_bytes)) {
    throw Error("what this process was started for is not in the arena");
  }
  const std::byte* from = arena::at(run, sizeof words + words.payload_bytes) + sizeof words;
  ToRun what{detail::function_at<void(bytes::Bytes)>(words.entry),
             {from, from + words.payload_bytes}};
  arena::free_run(run);
  return what;
}

[[noreturn]] void run_executed(const char* text) {
  Marker marker;
  const bool whole = marker.parse(text);
  ::unsetenv(kMarkerName);  // what this process starts is no worker
  try {
    if (!whole) throw Error(std::string(kMarkerName) + " is malformed");
    arena::accept_invitation(marker.invitation);
    const MemberId me = marker.invitation.member;
    hang_executed(arena::member(me).flags.load(), marker.lifelines);
    const ToRun what = take_start(me);
    std::exit(run_entry(what.entry, what.payload, arena::member(me).name));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forkful: a process cannot start: %s\n", error.what());
  }
  std::exit(1);
}

}  // namespace

Started start_by_execution(const bytes::RawProcess::Plan& plan, bytes::RawProcess::Entry entry,
                           bytes::Bytes payload, std::span<const bytes::Shared> carried) {
  if (program_arguments().empty()) {
    throw NotInitialized(
        "a process is started by executing this program once more, and main has not called "
        "forkful::init(argc, argv) first; call it there, or start with .context = Context::fork");
  }
  arena::join_family();
  Marker marker{{}, make_lifelines()};
  const std::uint32_t flags =
      (plan.daemonic ? arena::kDaemonic : 0u) | (plan.pool_worker ? arena::kPoolWorker : 0u);
  const MemberId child =
      arena::reserve_member(flags != 0 ? flags : std::uint32_t{arena::kPlain}, sync::self(), {});
  try {
    marker.invitation = arena::invite(child, make_nonce());
    std::snprintf(arena::member(child).name, sizeof(arena::Member::name), "%s", plan.name.c_str());
    for (const bytes::Shared& each : carried) {
      if (!arena::give_share(child, each.name_for_start().offset)) (void)each.name();
    }
    write_start(child, {marker.invitation.nonce, detail::place_of(entry), payload.size()}, payload);
    const int kept[] = {marker.invitation.arena_fd, marker.invitation.liveness_fd,
                        marker.lifelines.parent, marker.lifelines.root};
    return {kernel::execute_self(program_arguments(), marker.text(), kept), child};
  } catch (...) {
    arena::process_ended(child);
    throw;
  }
}

}  // namespace process

inline namespace v0 {
namespace bytes {

void init(int argc, char** argv) {
  process::program_arguments().assign(argv, argv + argc);
  if (argc == 0) process::program_arguments().emplace_back("forkful");
  if (const char* text = std::getenv(process::kMarkerName)) process::run_executed(text);
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
