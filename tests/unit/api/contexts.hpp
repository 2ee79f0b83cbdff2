// One test body over all ways to start a process.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "support/contexts.hpp"

namespace forkful::test {

class AllContexts : public testing::TestWithParam<Context> {};

inline std::string name_of(const testing::TestParamInfo<Context>& info) {
  return to_string(info.param);
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

#define FORKFUL_OVER_ALL_CONTEXTS(Suite) \
  INSTANTIATE_TEST_SUITE_P(, Suite, testing::ValuesIn(kContexts), name_of)
