// What cannot be meant is refused, by a message that says what was given and what to do.
#include <gtest/gtest.h>

#include <forkful/forkful.hpp>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/child.hpp"

namespace forkful {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(BadInput, a_semaphore_refuses_a_negative_value) {
  const std::string wanted =
      "a semaphore's value must be 0 to 2147483647, not 4294967295: was it negative?";
  EXPECT_EQ(message_of([] { const Semaphore semaphore(-1); }), wanted);
  EXPECT_EQ(message_of([] { const BoundedSemaphore semaphore(-1); }), wanted);
  EXPECT_THROW(Semaphore(1, 4'000'000'000u), std::invalid_argument);
  EXPECT_EQ(message_of([] { const Semaphore semaphore(3, 2); }),
            "a semaphore's value must be 0 to 2, not 3");
  EXPECT_NO_THROW(BoundedSemaphore(0));
  EXPECT_NO_THROW(Semaphore(2, 2));
}

TEST(BadInput, a_queue_refuses_a_negative_bound) {
  const std::string wanted =
      "a queue's bound must be 0 (none) to 2147483647, not 4294967295: was it negative?";
  EXPECT_EQ(message_of([] { const Queue<int> queue(-1); }), wanted);
  EXPECT_EQ(message_of([] { const JoinableQueue<int> queue(-1); }), wanted);
}

TEST(BadInput, a_barrier_refuses_a_negative_number_of_parties) {
  EXPECT_EQ(message_of([] { const Barrier barrier(-3); }),
            "a barrier's parties must be 1 to 4194304, not 4294967293: was it negative?");
  EXPECT_EQ(message_of([] { const Barrier barrier(0); }),
            "a barrier's parties must be 1 to 4194304, not 0");
}

TEST(BadInput, a_pool_says_how_many_processes_it_was_asked_for) {
  EXPECT_EQ(message_of([] { const Pool pool(-1); }),
            "a pool has 1 to 2048 processes (0: as many as CPUs), not -1");
}

TEST(BadInput, a_process_that_was_moved_from_says_so) {
  Process first([] {});
  Process second(std::move(first));
  EXPECT_EQ(message_of([&] { first.join(); }),
            "this Process was moved from: the one that it was moved to has the child");
  second.join();
}

TEST(BadInput, a_process_of_another_process_is_named) {
  Process process([] {});
  const std::string wanted = "only the process that started " + process.name() + ", pid " +
                             std::to_string(process.pid()) + ", can wait for it: pid " +
                             std::to_string(getpid());
  test::Child child =
      test::fork_child([&] { FORKFUL_MUST(message_of([&] { process.join(); }) == wanted); });
  EXPECT_EQ(child.wait(), 0);
  process.join();
}

TEST(BadInput, a_future_says_that_its_result_is_handed_out_once) {
  Pool pool(1);
  Future<int> future = pool.apply_async([] { return 3; });
  EXPECT_EQ(future.get(), 3);
  EXPECT_NE(message_of([&] { (void)future.get(); }).find("so keep what that gave"),
            std::string::npos);
}

TEST(BadInput, a_pool_that_has_ended_asks_for_a_new_one) {
  Pool pool(1);
  pool.terminate();
  EXPECT_EQ(message_of([&] { pool.apply([] {}); }),
            "the pool was closed or terminated and takes no more tasks: make a new one");
}

}  // namespace
}  // namespace forkful
