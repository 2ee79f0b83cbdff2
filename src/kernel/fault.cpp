// How a test has a process die, or do something else, at a named line of the engine. Only test
// builds contain this.
//
// A fault point is passed in the middle of critical sections and in forked children, so this
// allocates nothing and takes no lock.
#include "kernel/fault.hpp"

#ifdef FORKFUL_FAULTS

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

namespace forkful::kernel {
namespace {

struct Armed {
  std::optional<FaultPoint> point;
  void (*action)(void*) = nullptr;
  void* context = nullptr;
};
// For the thread that armed it alone: other threads of the test pass the same point unharmed.
thread_local Armed t_armed;

// The environment's way, for children that a test has only started: NAME:kill, or NAME:kill@N for
// the Nth pass in this process. SIGKILL, and not exit(), because nothing of the process may run
// after it.
void kill_if_named(FaultPoint point) {
  const char* faults = std::getenv("FORKFUL_FAULTS");
  if (faults == nullptr) return;
  const std::string_view fault = faults;
  constexpr std::string_view kKill = ":kill";
  const std::size_t colon = fault.find(kKill);
  if (FaultPoint::named(fault.substr(0, colon)) != point) return;
  const std::size_t at = fault.find('@', colon);
  static std::atomic<int> passes{0};
  const long pass = at == fault.npos ? 1 : std::strtol(faults + at + 1, nullptr, 10);
  if (passes.fetch_add(1) + 1 == pass) ::kill(::getpid(), SIGKILL);
}

}  // namespace

FaultPoint FaultPoint::named(std::string_view name) {
  const auto* const found = std::ranges::find(kFaultPoints, name);
  if (found == std::end(kFaultPoints)) {
    std::fprintf(stderr, "forkful: there is no fault point named '%s'\n",
                 std::string(name).c_str());
    std::abort();
  }
  // It is of a literal, so it ends with a zero.
  return {found->data(), Listed()};  // NOLINT(bugprone-suspicious-stringview-data-usage)
}

void arm_fault(FaultPoint point, void (*action)(void*), void* context) {
  t_armed = {point, action, context};
}

void fault_point(FaultPoint point) {
  if (t_armed.point == point) {
    const Armed armed = t_armed;
    // Before the action, which may pass the point again.
    t_armed = {};
    armed.action(armed.context);
    return;
  }
  kill_if_named(point);
}

}  // namespace forkful::kernel

#endif
