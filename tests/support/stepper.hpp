// Kills a member at a chosen instruction.
#pragma once

#include <sched.h>

#include <functional>

#include "support/child.hpp"

namespace forkful::test {

// Tracer and traced take turns: on one CPU a step is a switch, on two it is a wake-up. Keeps this
// process, and another one, on the CPU that this one runs on; `other` for good.
class OnOneCpu {
 public:
  explicit OnOneCpu(pid_t other = 0);
  ~OnOneCpu();
  OnOneCpu(const OnOneCpu&) = delete;
  OnOneCpu& operator=(const OnOneCpu&) = delete;

 private:
  cpu_set_t before_{};
};

// In a child: stops, and runs from here on as its parent has it step. Its next SIGSTOP ends that.
void begin_to_be_stepped();

struct Stepped {
  int status = 0;  // as waitpid() has it
  long steps = 0;
};
// In the parent: has a child that begins to be stepped, or is about to, run so many instructions.
Stepped step(const Child& child, long steps);

// Runs `body` in a forked member one instruction at a time and kills it after the `steps`-th,
// or at the body's end. Calls `look` when it is dead and not reaped yet; then reaps it.
// Returns the instructions that ran.
long step_and_kill(
    long steps, const std::function<void()>& body, const std::function<void()>& look = [] {});

// Calls `try_at(k)` for about `most` (or FORKFUL_STEPS) kill points spread over all of `body`,
// fewer where that would take too long.
void at_many_instructions(long most, const std::function<void()>& body,
                          const std::function<void(long)>& try_at);

}  // namespace forkful::test
