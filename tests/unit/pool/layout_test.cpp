// What lies in shared memory keeps its place: change this with kLayoutVersion.
#include <gtest/gtest.h>

#include <cstddef>

#include "pool/words.hpp"

namespace forkful::pool {
namespace {

TEST(PoolLayout, is_frozen) {
  EXPECT_EQ(sizeof(Claim), 48u);
  EXPECT_EQ(sizeof(WorkerSlot), 128u);
  EXPECT_EQ(offsetof(WorkerSlot, claim), 0u);
  EXPECT_EQ(offsetof(PoolWords, tasks), 0u);
  EXPECT_EQ(offsetof(PoolWords, results), 384u);
  EXPECT_EQ(sizeof(PoolWords), 832u);
  EXPECT_EQ(sizeof(bytes::TaskHead), 32u);
  EXPECT_EQ(sizeof(bytes::ResultHead), 32u);
  EXPECT_EQ(sizeof(bytes::ResultFrame), 16u);
}

}  // namespace
}  // namespace forkful::pool
