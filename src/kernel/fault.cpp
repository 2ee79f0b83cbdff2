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
thread_local Armed t_armed;

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
    t_armed = {};
    armed.action(armed.context);
    return;
  }
  kill_if_named(point);
}

}  // namespace forkful::kernel

#endif
