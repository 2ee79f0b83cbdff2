// Every exception that forkful throws.
//
// Errors that a caller plans for (timed out, full) are return values, not exceptions. What the
// kernel refuses is an OsError; the rest derive from Error and are named by the state they report.
#pragma once

#include <cstdint>
#include <forkful/detail/calls/code.hpp>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

// What the kernel refused: errno, the call, and the object it was made for.
class OsError : public std::system_error {
 public:
  OsError(int error, const std::string& call, const std::string& object)
      : std::system_error(error, std::generic_category(), call + " of " + object) {}
  [[nodiscard]] int error() const noexcept { return code().value(); }
};

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The worker that ran a task is gone; the pool has replaced it and lives on.
class WorkerDied : public Error {
 public:
  WorkerDied(const std::string& what, int pid, int signal, int exit_code, std::uint32_t item = 0)
      : Error(what), pid_(pid), signal_(signal), exit_code_(exit_code), item_(item) {}
  [[nodiscard]] int pid() const noexcept { return pid_; }
  [[nodiscard]] int signal() const noexcept { return signal_; }        // 0: it exited by itself
  [[nodiscard]] int exit_code() const noexcept { return exit_code_; }  // -1: killed by a signal
  // Index of the item that is lost in its call; 0 for a call of one.
  [[nodiscard]] std::uint32_t item() const noexcept { return item_; }

 private:
  int pid_, signal_, exit_code_;
  std::uint32_t item_;
};

// The lock's owner died abnormally while holding it. The lock is not held by the caller: what it
// guards may be half-changed. recover() takes it over.
class LockOwnerDied : public Error {
 public:
  using Error::Error;
};

// The queue was shut down (and, for get, is empty).
class ShutDown : public Error {
 public:
  using Error::Error;
};

// A party of the barrier timed out, died, gave up or threw, so the parties cannot all meet.
class BrokenBarrier : public Error {
 public:
  using Error::Error;
};

// A Connection's other end was closed, or its process is gone, and no message is left.
class EndOfFile : public Error {
 public:
  using Error::Error;
};

// The task was dropped before it ran.
class Cancelled : public Error {
 public:
  using Error::Error;
};

// A task ran longer than it was allowed to.
class TimeoutError : public Error {
 public:
  using Error::Error;
};

// Where an exception that came from another process was thrown: such exceptions have it as a base
// beside their own type. catch (const std::out_of_range& e) { if (auto* r = remote_info(e)) … }
struct RemoteInfo {
  int pid = 0;
  std::string type;                       // its name there
  std::vector<detail::CodePlace> frames;  // the calls that led to the throw, innermost first

  // The frames in words, a line each: function, module and offset, down to the program's own
  // function that was called. Looked up in the modules' files when it is called; a stripped one has
  // few names. Empty where no stack was noted.
  [[nodiscard]] std::string stack() const;
};

// A task threw something that cannot be rebuilt as its own type here.
class RemoteError : public Error, public RemoteInfo {
 public:
  using Error::Error;
  RemoteError(const std::string& what, RemoteInfo info)
      : Error(what), RemoteInfo(std::move(info)) {}
};

// A process was to be started by re-executing the program, and main has not called init() first.
class NotInitialized : public Error {
 public:
  using Error::Error;
};

// A callable captures an address that means nothing in another process.
class BadCapture : public Error {
 public:
  using Error::Error;
};

// The arena was made by a forkful of another memory layout.
class LayoutMismatch : public Error {
 public:
  using Error::Error;
};

// Null for an exception of this process. The answer lives as long as `error`.
inline const RemoteInfo* remote_info(const std::exception& error) noexcept {
  const auto* info = dynamic_cast<const RemoteInfo*>(&error);
  return info != nullptr && info->pid != 0 ? info : nullptr;
}

}  // namespace v0
}  // namespace forkful
