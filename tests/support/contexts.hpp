// The ways to start a process, for tests that hold for each.
#pragma once

#include <forkful/context.hpp>
#include <stdexcept>
#include <string>

namespace forkful::test {

inline constexpr Context kContexts[] = {Context::spawn, Context::fork, Context::forkserver};

inline std::string to_string(Context context) {
  constexpr const char* kNames[] = {"spawn", "fork", "forkserver"};
  return kNames[static_cast<int>(context)];
}

inline Context context_of(const std::string& name) {
  for (const Context each : kContexts) {
    if (to_string(each) == name) return each;
  }
  throw std::invalid_argument("no context is named " + name);
}

}  // namespace forkful::test
