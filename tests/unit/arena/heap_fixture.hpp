// A heap that is whole, and as full as before, after each test.
//
// Many a test says how much is in use or in memory, to the byte or to a bound, of a family that has
// done nothing before. So each has a process of its own, which ctest gives it.
#pragma once

#include <gtest/gtest.h>

#include "arena/heap.hpp"
#include "arena/membership.hpp"

namespace forkful::arena {

class Heap : public testing::Test {
 protected:
  Heap() { join_family(); }
  ~Heap() override {
    check_heap();
    EXPECT_EQ(heap_use().used_bytes, used_before_);
  }
  std::uint64_t used_before_ = (join_family(), heap_use().used_bytes);
};

}  // namespace forkful::arena
