// A process that runs a function of this program on some bytes. (Unstable; see process.hpp.)
#pragma once

#include <chrono>
#include <cstdint>
#include <forkful/bytes/carried.hpp>
#include <forkful/bytes/message.hpp>
#include <forkful/bytes/shared.hpp>
#include <forkful/context.hpp>
#include <forkful/wait.hpp>
#include <optional>
#include <string>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace bytes {

// First in main, before any process is started by re-executing the program. In such a process it
// runs what that was started for, and exits.
void init(int argc, char** argv);

// Ownership: the parent's. In a forked child an inherited one is inert.
// Threads:   one at a time. Death: the orphan rule ends the child; see ForkPlan.
class RawProcess {
 public:
  using Entry = void (*)(Bytes payload);

  struct Plan {
    bool daemonic = false;
    bool pool_worker = false;
    Context context = Context::spawn;
    std::string name;  // the family sees 31 bytes of it; empty: "Process-1" …
  };

  RawProcess() = default;
  // The child calls `entry(payload)`, and has what is `carried`. It then exits with 0, or with 1
  // after printing the exception that `entry` threw. The descriptors stay the caller's as well.
  // Throws: NotInitialized, OsError.
  static RawProcess start(const Plan& plan, Entry entry, Bytes payload,
                          const Carried& carried = {});

  // A child that the program has forked itself, between before_start() and started(), whose answer
  // `member` is. Throws: OsError; the child is ended then.
  static RawProcess adopt(int pid, std::uint32_t member) { return {pid, member, {}}; }

  RawProcess(RawProcess&& other) noexcept { *this = std::move(other); }
  RawProcess& operator=(RawProcess&& other) noexcept;
  // Neither waits nor kills: a child that runs goes on, and its end is noticed by its family.
  ~RawProcess();

  explicit operator bool() const { return pid_ != 0; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] std::uint32_t member() const { return member_; }
  // Whether this process started it.
  [[nodiscard]] bool is_ours() const;

  // Readable once it has ended; -1 where the program has closed it. The object's.
  [[nodiscard]] int descriptor() const;
  // Likewise, made anew where it has been closed; in the process that started it, while it runs.
  [[nodiscard]] int watched();

  // The exit code, minus the signal's number when one killed it; nullopt while it runs. Where
  // somebody else has waited for it (SIGCHLD ignored, a handler that reaps), it is what the kernel
  // still knows or the child has said itself, else kUnknownExit.
  static constexpr int kUnknownExit = 255;
  [[nodiscard]] std::optional<int> poll();
  // What poll() or join() found, without a look.
  [[nodiscard]] std::optional<int> exit_code() const { return exit_code_; }
  // False when `wait` ended first.
  [[nodiscard]] bool join(Wait& wait);
  // Does nothing when it has ended. Any process may that has inherited the object.
  void send_signal(int signal);
  // Asks it to end, also where it is stopped.
  void terminate();
  // Ends it: asks, gives it `grace`, kills it, and waits. Nothing that it may have locked is waited
  // for before it is gone.
  void end(std::chrono::nanoseconds grace);
  static constexpr std::chrono::seconds kGrace{2};

  // As poll() and join(), without giving back yet what the child held in the family: for a caller
  // that has something to save first. Call give_back() then.
  [[nodiscard]] std::optional<int> ended();
  [[nodiscard]] bool await_end(Wait& wait);
  void give_back();

 private:
  RawProcess(int pid, std::uint32_t member, std::string name);
  void require_ours() const;
  void watch(int pidfd);

  int pid_ = 0;
  int pidfd_ = -1;
  std::uint64_t pidfd_file_[2] = {};  // device and inode: the program may have taken the number
  int starter_ = 0;
  std::uint32_t member_ = 0;
  std::optional<int> exit_code_;
  std::string name_;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
