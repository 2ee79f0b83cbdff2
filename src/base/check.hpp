// A broken invariant ends the process with its state: going on would spread the damage.
#pragma once

namespace forkful::base {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}

#define FORKFUL_CHECK(expression)      \
  (__builtin_expect(!!(expression), 1) \
       ? void()                        \
       : ::forkful::base::check_failed(#expression, __FILE__, __LINE__))
