// The protocols that schedules explore, and the table of them.
#pragma once

#include <span>

#include "schedule.hpp"

namespace forkful::schedules {

struct Protocol {
  const char* name;
  void (*begin)();  // once a process
  void (*run)(Schedule& schedule);
};

std::span<const Protocol> protocols();

// Each adds itself, so that a program may have some of them only.
struct Entered {
  explicit Entered(const Protocol& protocol);
};

}  // namespace forkful::schedules
