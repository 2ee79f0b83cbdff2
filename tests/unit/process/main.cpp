#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <forkful/init.hpp>
#include <stdexcept>

#include "kernel/process_info.hpp"
#include "support/child.hpp"
#include "support/contexts.hpp"
#include "unit/process/actor.hpp"

namespace forkful::test {

int Cast::play(int argc, char** argv) {
  if (argc != 4 || std::string(argv[1]) != "--role") return -1;
  ::alarm(100);
  return roles().at(argv[2])(context_of(argv[3]));
}

void say(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) std::abort();
}

void await_end(int pid) {
  const Watched other(pid);
  (void)other.ends_within_seconds(60);
}

void wait_to_be_killed() {
  ::alarm(kMostSeconds);
  for (;;) ::pause();
}

void be_busy() {
  ::alarm(kMostSeconds);
  for (volatile unsigned turns = 0;;) {
    turns = turns + 1;
    // ThreadSanitizer's runtime keeps a signal's handler waiting until the next call of this kind.
    if (kThreadSanitizer) ::poll(nullptr, 0, 1);
  }
}

Watched::Watched(int pid) {
  try {
    pidfd_ = kernel::open_pidfd(pid);
  } catch (const std::exception&) {
    // Why: it is gone already, which is what the caller wants to know.
  }
}

bool Watched::ends_within_seconds(int seconds) const {
  if (!pidfd_) return true;
  pollfd look{pidfd_.get(), POLLIN, 0};
  return ::poll(&look, 1, seconds * 1000) == 1;
}

bool Watched::runs() const { return !ends_within_seconds(0); }

Actor::Actor(const std::string& role, Context context) {
  auto ends = kernel::make_pipe();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends.write.get(), STDOUT_FILENO);
  std::string name = role;
  std::string how = to_string(context);
  char program[] = "actor";
  char flag[] = "--role";
  char* arguments[] = {program, flag, name.data(), how.data(), nullptr};
  const int error = ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("posix_spawn failed");
  output_ = std::move(ends.read);
}

Actor::~Actor() {
  if (pid_ != 0) kill();
}

std::string Actor::line() {
  constexpr int kMostMs = 20'000;
  pollfd look{output_.get(), POLLIN, 0};
  if (::poll(&look, 1, kMostMs) != 1) return "(silence)";
  std::string text;
  for (char next = 0; ::read(output_.get(), &next, 1) == 1 && next != '\n';) text += next;
  return text;
}

int Actor::kill() {
  ::kill(pid_, SIGKILL);
  return wait();
}

int Actor::wait() {
  int status = 0;
  ::waitpid(std::exchange(pid_, 0), &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace forkful::test

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  if (const int code = forkful::test::Cast::play(argc, argv); code >= 0) return code;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
