// How a process comes to run a function: by fork, or by executing this program once more.
//
// A re-executed child finds the marker FORKFUL_MEMBER in its environment: descriptors, its name as
// a member, and a nonce. What to run stands in a block of the arena that its member slot names:
//
//   StartWords | payload
#pragma once

#include <forkful/bytes/process.hpp>
#include <forkful/detail/code.hpp>
#include <span>
#include <string>

#include "base/ids.hpp"

namespace forkful::process {

struct StartWords {
  std::uint64_t nonce;  // as in the marker
  detail::CodePlace entry;
  std::uint64_t payload_bytes;
};
static_assert(sizeof(StartWords) == 32);

inline constexpr const char* kMarkerName = "FORKFUL_MEMBER";

struct Started {
  int pid = 0;
  base::MemberId member;
};

Started start_by_fork(const bytes::RawProcess::Plan& plan, bytes::RawProcess::Entry entry,
                      bytes::Bytes payload);
// Throws: NotInitialized.
Started start_by_execution(const bytes::RawProcess::Plan& plan, bytes::RawProcess::Entry entry,
                           bytes::Bytes payload, std::span<const bytes::Shared> carried);

// Calls `entry` and returns the exit code; says on stderr what it threw.
int run_entry(bytes::RawProcess::Entry entry, bytes::Bytes payload, const std::string& name);

}  // namespace forkful::process
