// Families of their own for tests to kill: this program, executed anew to play a role.
//
// A role prints one line a fact, such as a pid, and the test reads them.
#pragma once

#include <gtest/gtest.h>

#include <forkful/context.hpp>
#include <map>
#include <string>

#include "kernel/fd.hpp"
#include "support/contexts.hpp"

namespace forkful::test {

using Role = int (*)(Context);

// A role is declared beside its test: const Cast a_role("name", [](Context) { … return 0; });
class Cast {
 public:
  Cast(const std::string& name, Role role) { roles()[name] = role; }
  // Plays what the arguments ask for; -1 when they ask for none.
  static int play(int argc, char** argv);

 private:
  static std::map<std::string, Role>& roles() {
    static std::map<std::string, Role> all;
    return all;
  }
};

// Prints a line that the test reads with Actor::line().
void say(const std::string& line);
// Waits for the end of a process that is not a child.
void await_end(int pid);
[[noreturn]] void wait_to_be_killed();
// Like it, without ever entering the kernel.
[[noreturn]] void be_busy();

// Some process, looked at from outside.
class Watched {
 public:
  explicit Watched(int pid);
  [[nodiscard]] bool ends_within_seconds(int seconds) const;
  [[nodiscard]] bool runs() const;

 private:
  kernel::Fd pidfd_;
};

// A running role; killed with the object.
class Actor {
 public:
  Actor(const std::string& role, Context context);
  ~Actor();
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  [[nodiscard]] int pid() const { return pid_; }
  // What it says next; "" when nobody who could say something is left.
  std::string line();
  Watched watched() { return Watched(std::stoi(line())); }
  int kill();
  int wait();

 private:
  int pid_ = 0;
  kernel::Fd output_;
};

// For INSTANTIATE_TEST_SUITE_P: one body over all contexts.
inline std::string name_of(const testing::TestParamInfo<Context>& info) {
  return to_string(info.param);
}

}  // namespace forkful::test
