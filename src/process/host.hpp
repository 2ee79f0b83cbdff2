// forkful-host: what is executed where this program cannot be executed once more, because the
// engine is part of a shared library of a program that knows nothing of it (an interpreter's
// extension, a plug-in).
//
//   this process ──execute──► forkful-host ──dlopen, run_hosted()──► the library's engine: a member
//
// The host finds the library and the place of run_hosted() in its environment:
//
//   FORKFUL_HOST_MODULE=digest;offset;path
#pragma once

#include <forkful/detail/calls/code.hpp>
#include <optional>
#include <span>
#include <string>

#include "process/marker.hpp"

namespace forkful::process {

inline constexpr const char* kHostModuleName = "FORKFUL_HOST_MODULE";

struct HostModule {
  detail::CodePlace entry;  // a void()
  std::string path;

  // "NAME=words"
  [[nodiscard]] std::string text() const;
  // nullopt where `words` are none of text()'s.
  static std::optional<HostModule> parse(const char* words);
};

// The program forkful-host: what the environment's FORKFUL_HOST names, else where it is installed,
// else in PATH. Throws: NotInitialized, when it is not found, or this engine is the program's own.
std::string require_host();

// Executes the host so that it becomes what `marker` says. Throws: NotInitialized, OsError.
int execute_host(const Marker& marker, std::span<const int> kept);

// What the host calls: becomes the member that the marker names, and exits with it.
[[noreturn]] void run_hosted();

}  // namespace forkful::process
