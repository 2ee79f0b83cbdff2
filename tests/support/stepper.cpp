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
OnOneCpu::OnOneCpu(pid_t other) {
  ::sched_getaffinity(0, sizeof before_, &before_);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  ::sched_setaffinity(0, sizeof one, &one);
  if (other != 0) ::sched_setaffinity(other, sizeof one, &one);
}

OnOneCpu::~OnOneCpu() { ::sched_setaffinity(0, sizeof before_, &before_); }

void begin_to_be_stepped() {
  must(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0, "may be traced");
  ::raise(SIGSTOP);
}

Stepped step(const Child& child, long steps) {
  Stepped stepped;
  ::waitpid(child.pid(), &stepped.status, 0);
  for (; stepped.steps < steps; ++stepped.steps) {
    if (::ptrace(PTRACE_SINGLESTEP, child.pid(), nullptr, nullptr) != 0) break;
    ::waitpid(child.pid(), &stepped.status, 0);
    if (!WIFSTOPPED(stepped.status) || WSTOPSIG(stepped.status) == SIGSTOP) break;
  }
  return stepped;
}

long step_and_kill(long steps, const std::function<void()>& body,
                   const std::function<void()>& look) {
  const OnOneCpu here;
  Child child = fork_child([&] {
    begin_to_be_stepped();
    body();
    ::raise(SIGSTOP);
    die();
  });
  const Stepped stepped = step(child, steps);
  EXPECT_TRUE(WIFSTOPPED(stepped.status))
      << "the body failed after " << stepped.steps << " instructions";
  child.signal(SIGKILL);
  child.wait_without_reaping();
  look();
  arena::process_ended(child.member());
  return stepped.steps;
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
