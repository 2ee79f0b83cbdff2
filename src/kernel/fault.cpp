#include "kernel/fault.hpp"

#ifdef FORKFUL_FAULTS

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace forkful::kernel {
namespace {

struct Armed {
  const char* name = nullptr;
  void (*action)(void*) = nullptr;
  void* context = nullptr;
};
thread_local Armed t_armed;

void kill_if_named(const char* name) {
  const char* faults = std::getenv("FORKFUL_FAULTS");
  if (faults == nullptr) return;
  const std::size_t length = std::strlen(name);
  if (std::strncmp(faults, name, length) != 0 || std::strncmp(faults + length, ":kill", 5) != 0) {
    return;
  }
  const char* at = std::strchr(faults + length, '@');
  static std::atomic<int> passes{0};
  if (passes.fetch_add(1) + 1 == (at != nullptr ? std::strtol(at + 1, nullptr, 10) : 1)) {
    ::kill(::getpid(), SIGKILL);
  }
}

}  // namespace

void arm_fault(const char* name, void (*action)(void*), void* context) {
  t_armed = {name, action, context};
}

void fault_point(const char* name) {
  if (t_armed.name != nullptr && std::strcmp(t_armed.name, name) == 0) {
    const Armed armed = t_armed;
    t_armed = {};
    armed.action(armed.context);
    return;
  }
  kill_if_named(name);
}

}  // namespace forkful::kernel

#endif
