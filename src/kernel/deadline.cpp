// When a wait ends, by the monotonic clock.
#include <forkful/wait.hpp>
#include <limits>

#include "kernel/clock.hpp"

namespace forkful {
inline namespace v0 {

Deadline Deadline::in(Duration duration) {
  const std::int64_t span = duration.span().count();
  // Poll is 0 and never is the largest value, so a deadline must not become either by arithmetic.
  if (span <= 0) return poll();
  const std::int64_t now = kernel::monotonic_ns();
  const std::int64_t left = std::numeric_limits<std::int64_t>::max() - now;
  return span >= left ? never() : Deadline{now + span};
}

}  // namespace v0
}  // namespace forkful
