// main() is in GoogleTest's archive, and calls no init().
#include <gtest/gtest.h>

#include <forkful/pool.hpp>

namespace {

int square(int number) { return number * number; }

TEST(AutoMain, spawns_though_main_is_of_an_archive) {
  forkful::Pool pool(1);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

}  // namespace
