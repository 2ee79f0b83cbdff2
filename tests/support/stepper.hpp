// Kills a member at a chosen instruction.
#pragma once

#include <functional>

namespace forkful::test {

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
