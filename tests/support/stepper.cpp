#include "support/stepper.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>

#include "arena/membership.hpp"
#include "support/child.hpp"

namespace forkful::test {
namespace {

// Tracer and traced take turns: on one CPU a step is a switch, on two it is a wake-up.
class OnOneCpu {
 public:
  OnOneCpu() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }
  ~OnOneCpu() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OnOneCpu(const OnOneCpu&) = delete;
  OnOneCpu& operator=(const OnOneCpu&) = delete;

 private:
  cpu_set_t before_{};
};

}  // namespace

long step_and_kill(long steps, const std::function<void()>& body,
                   const std::function<void()>& look) {
  const OnOneCpu here;
  Child child = fork_child([&] {
    must(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0, "may be traced");
    ::raise(SIGSTOP);
    body();
    ::raise(SIGSTOP);
    die();
  });
  int status = 0;
  ::waitpid(child.pid(), &status, 0);
  long done = 0;
  for (; done < steps; ++done) {
    if (::ptrace(PTRACE_SINGLESTEP, child.pid(), nullptr, nullptr) != 0) break;
    ::waitpid(child.pid(), &status, 0);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) == SIGSTOP) break;
  }
  EXPECT_TRUE(WIFSTOPPED(status)) << "the body failed after " << done << " instructions";
  child.signal(SIGKILL);
  child.wait_without_reaping();
  look();
  arena::process_ended(child.member());
  return done;
}

void at_many_instructions(long most, const std::function<void()>& body,
                          const std::function<void(long)>& try_at) {
  constexpr double kMostTestSeconds = 5;
  const auto start = std::chrono::steady_clock::now();
  const long all = step_and_kill(std::numeric_limits<long>::max(), body);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const long wanted = from_environment("FORKFUL_STEPS", 0);
  const auto affordable = static_cast<long>(kMostTestSeconds / (took.count() / 2));
  const long points = std::min(all, wanted != 0 ? wanted : std::clamp(affordable, 5l, most));
  std::printf("%ld kill points in %ld instructions\n", points, all);
  for (long i = 0; i < points; ++i) {
    try_at(1 + i * all / points);
    if (testing::Test::HasFailure()) {
      std::printf("killed at instruction %ld\n", 1 + i * all / points);
      return;
    }
  }
}

}  // namespace forkful::test
