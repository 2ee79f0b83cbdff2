// Fault points fire where and when they are told.
#include "kernel/fault.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include "support/child.hpp"

namespace forkful::kernel {
namespace {

TEST(FaultPoint, armed_from_inside_fires_once) {
  int fired = 0;
  arm_fault("test.here", [](void* count) { ++*static_cast<int*>(count); }, &fired);
  FORKFUL_FAULT("test.elsewhere");
  EXPECT_EQ(fired, 0);
  FORKFUL_FAULT("test.here");
  FORKFUL_FAULT("test.here");
  EXPECT_EQ(fired, 1);
}

TEST(FaultPoint, kills_at_the_chosen_pass) {
  test::Child child = test::fork_child([] {
    test::die_at("test.here", 3);
    FORKFUL_FAULT("test.here");
    FORKFUL_FAULT("test.here");
    FORKFUL_FAULT("test.elsewhere");
    FORKFUL_FAULT("test.here");
    test::must(false, "still alive");
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
}

TEST(FaultPoint, is_armed_by_the_environment) {
  test::Child child = test::fork_child([] {
    ::setenv("FORKFUL_FAULTS", "test.here:kill@2", 1);
    FORKFUL_FAULT("test.here");
    FORKFUL_FAULT("test.here.too");
    FORKFUL_FAULT("test.here");
    test::must(false, "still alive");
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
}

TEST(FaultPoint, that_is_misspelt_in_the_environment_ends_the_process) {
  test::Child child = test::fork_child([] {
    ::setenv("FORKFUL_FAULTS", "test.her:kill@2", 1);
    FORKFUL_FAULT("test.elsewhere");
  });
  EXPECT_EQ(child.wait(), -SIGABRT);
}

}  // namespace
}  // namespace forkful::kernel
