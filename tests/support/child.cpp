#include "support/child.hpp"

#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <random>
#include <thread>

#include "arena/at_fork.hpp"
#include "arena/membership.hpp"
#include "kernel/fault.hpp"

namespace forkful::test {
namespace {

using std::chrono::steady_clock;

[[noreturn]] void run(const std::function<void()>& body, unsigned most_seconds) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(most_seconds);
  int code = 0;
  try {
    body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child %d: %s\n", ::getpid(), error.what());
    code = kBroken;
  }
  if (code == 0) arena::leave_family();
  ::_exit(code);
}

char state_of(pid_t pid) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return 0;
  char text[512] = {};
  const std::size_t got = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  const char* at = got > 0 ? std::strrchr(text, ')') : nullptr;
  return at != nullptr ? at[2] : 0;
}

int reason(int status) { return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status); }

}  // namespace

Child fork_child(const std::function<void()>& body, unsigned most_seconds) {
  arena::plan_fork(0);
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) run(body, most_seconds);
  if (pid < 0) ADD_FAILURE() << "fork failed";
  return {pid, arena::last_forked()};
}

Child clone_child(const std::function<void()>& body) {
  std::fflush(nullptr);
  const auto pid =
      static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) run(body, kMostSeconds);
  if (pid < 0) ADD_FAILURE() << "clone failed";
  return {pid, {}};
}

Child::~Child() {
  if (pid_ > 0) kill();
}

void Child::signal(int number) const { ::kill(pid_, number); }

int Child::wait_without_reaping() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return reason(status);
}

int Child::wait() {
  const int code = wait_without_reaping();
  arena::process_ended(member_);
  return code;
}

int Child::kill() {
  signal(SIGKILL);
  return wait();
}

bool Child::is_in(const char* states) const {
  const char now = state_of(pid_);
  return now != 0 && std::strchr(states, now) != nullptr;
}

bool Child::has_ended() const { return is_in("Z"); }

void Child::await_state(const char* states) const {
  await([&] { return is_in(states); }, states);
}

void Child::await_stopped() const { await_state("Tt"); }
void Child::await_asleep() const { await_state("S"); }
void Child::await_zombie() const { await_state("Z"); }

void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "child %d: not so: %s\n", ::getpid(), what);
  ::_exit(kBroken);
}

void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

namespace {

struct Act {
  kernel::FaultPoint point;
  int passes_left;
  void (*action)();
};
thread_local std::optional<Act> t_act;

void act_at(kernel::FaultPoint point, int pass, void (*action)()) {
  t_act = {point, pass, action};
  kernel::arm_fault(
      point,
      [](void*) {
        const Act act = *t_act;
        if (act.passes_left == 1) return act.action();
        act_at(act.point, act.passes_left - 1, act.action);
      },
      nullptr);
}

}  // namespace

void die_at(kernel::FaultPoint point, int pass) {
  act_at(point, pass, [] { die(); });
}
void stop_at(kernel::FaultPoint point, int pass) {
  act_at(point, pass, [] { ::raise(SIGSTOP); });
}

void await(const std::function<bool()>& condition, const char* what) {
  const auto until = steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (steady_clock::now() > until) {
      std::fprintf(stderr, "%d waited in vain for: %s\n", ::getpid(), what);
      std::abort();
    }
    // Why: a poll of what another process does; nothing notifies of it.
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

unsigned seed() {
  static const auto chosen = [] {
    const auto it = static_cast<unsigned>(
        from_environment("FORKFUL_SEED", static_cast<long>(std::random_device{}())));
    std::printf("FORKFUL_SEED=%u\n", it);
    std::fflush(stdout);
    return it;
  }();
  return chosen;
}

long from_environment(const char* name, long otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtol(text, nullptr, 10) : otherwise;
}

void* shared_memory(std::size_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::abort();
  return at;
}

}  // namespace forkful::test
