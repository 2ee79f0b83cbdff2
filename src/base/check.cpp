#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace forkful::base {

// abort() and not an exception: a caller that caught it would go on with memory that is known to be
// wrong. Locks that this process has are then taken over by others, as after any death.
void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "forkful: broken invariant `%s` at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace forkful::base
