// A broken invariant ends the process, with the expression and its place on stderr: going on would
// spread the damage to the other members.
//
// For what only a fault of forkful's own can break. What another member may have written over is an
// Error instead (see arena::damaged()), and what a caller may do wrong is an exception.
#pragma once

namespace forkful::base {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}

#define FORKFUL_CHECK(expression)      \
  (__builtin_expect(!!(expression), 1) \
       ? void()                        \
       : ::forkful::base::check_failed(#expression, __FILE__, __LINE__))
