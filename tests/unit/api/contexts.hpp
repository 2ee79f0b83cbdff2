// One test body over both ways to start a process.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <forkful/context.hpp>
#include <string>
#include <thread>

namespace forkful::test {

class BothContexts : public testing::TestWithParam<Context> {};

inline std::string name_of(const testing::TestParamInfo<Context>& info) {
  return info.param == Context::fork ? "fork" : "spawn";
}

// Waits until `holds()`; false after ten seconds.
template <class Holds>
bool eventually(Holds&& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace forkful::test

#define FORKFUL_OVER_BOTH_CONTEXTS(Suite) \
  INSTANTIATE_TEST_SUITE_P(, Suite, testing::Values(Context::spawn, Context::fork), name_of)
