// How a process comes to run a function: by fork, by executing this program once more, or by the
// fork of a server that was executed once.
//
// An executed child finds a marker in its environment (see marker.hpp). What to run is in a
// block of the arena that its member entry names:
//
//   StartWords | descriptors | payload
//
// A child of the server is told the same by a message, and goes on as if it had been executed.
#pragma once

#include <forkful/bytes/process.hpp>
#include <forkful/detail/calls/code.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "process/marker.hpp"

namespace forkful::process {

using bytes::Bytes;
using Plan = bytes::RawProcess::Plan;
using Entry = bytes::RawProcess::Entry;

struct StartWords {
  std::uint64_t nonce;  // as in the marker
  detail::CodePlace entry;
  std::uint32_t descriptors;  // how many numbers follow
  std::uint32_t reserved;
  std::uint64_t payload_bytes;
};
static_assert(sizeof(StartWords) == 40);

struct Started {
  int pid = 0;
  base::MemberId member;
};

Started start_by_fork(const Plan& plan, Entry entry, Bytes payload, const bytes::Carried& carried);
// Throws, both: NotInitialized.
Started start_by_execution(const Plan& plan, Entry entry, Bytes payload,
                           const bytes::Carried& carried);
Started start_by_server(const Plan& plan, Entry entry, Bytes payload,
                        const bytes::Carried& carried);

// What init() was given; empty before it. Never destroyed: see the State of lifelines.cpp.
std::vector<std::string>& program_arguments();
// Throws: NotInitialized, when there is nothing to execute for a new process.
void require_init();
// Executes this program once more, with `marker`, its descriptors and those `carried`; or
// forkful-host, see host.hpp. Returns its pid.
int execute_again(const Marker& marker, std::span<const int> carried);
// Returns where this process's environment has no marker.
void become_what_is_marked();

// A place in the family for a child that will accept the invitation, with all that it is to run.
// Given back by arena::process_ended().
Marker invite(const Plan& plan, Entry entry, Bytes payload, const bytes::Carried& carried);
// Likewise for a child that is to run nothing of the arena's.
Marker reserve_place(const Plan& plan, std::span<const bytes::Shared> shares);
// In the child: becomes the member, and hangs on its elders before anything of the program's runs.
void take_place(const Marker& marker);
// In such a child, which has nothing to read there: gives back the block that named it.
void drop_start(base::MemberId me);
// In the child: becomes the member, does what it was started for, and exits. `received` are the
// carried descriptors where they have other numbers than in the parent.
[[noreturn]] void run_invited(const Marker& marker, std::optional<std::vector<int>> received);

// Serves start requests until the parent is gone.
[[noreturn]] void serve(const Marker& marker);

// For take_carried_descriptor().
void set_carried_descriptors(std::vector<int> descriptors);

// C's and C++'s, so that a copy of this process has nothing buffered.
void flush_streams();

// Thrown by an entry that fails as another process did, which has said why.
struct FailedInSilence {};
// Calls `entry` and returns the exit code; says on stderr what else it threw.
int run_entry(Entry entry, Bytes payload, const std::string& name);

}  // namespace forkful::process
