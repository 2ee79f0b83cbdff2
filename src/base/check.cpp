#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace forkful::base {

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "forkful: broken invariant `%s` at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace forkful::base
