// What of a queue is done with, whoever was killed meanwhile.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <forkful/bytes/task_count.hpp>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"
#include "support/simulated.hpp"

namespace forkful::bytes {
namespace {

using namespace std::chrono_literals;

class TaskCounts : public testing::Test {
 protected:
  void put() const {
    ASSERT_EQ(test::put(queue_, test::make_message(1, 1, 100)), ByteQueue::Put::sent);
  }
  [[nodiscard]] Waited join(Deadline until = Deadline::in(60s)) const {
    Wait wait(until);
    return count_.join(queue_, wait);
  }
  ByteQueue queue_ = ByteQueue::create();
  TaskCount count_ = TaskCount::create();
};

TEST_F(TaskCounts, count_from_the_put_to_the_report) {
  EXPECT_EQ(join(Deadline::poll()), Waited::done);
  EXPECT_FALSE(count_.task_done(queue_));
  put();
  put();
  EXPECT_EQ(count_.unfinished(queue_), 2u);
  EXPECT_EQ(join(Deadline::in(5ms)), Waited::timed_out);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(test::try_get(queue_));
  EXPECT_EQ(join(Deadline::poll()), Waited::timed_out) << "received is not done";
  EXPECT_TRUE(count_.task_done(queue_));
  EXPECT_TRUE(count_.task_done(queue_));
  EXPECT_EQ(join(), Waited::done);
  EXPECT_FALSE(count_.task_done(queue_));
  EXPECT_EQ(TaskCount::adopt(count_.id()).unfinished(queue_), 0u);
}

TEST_F(TaskCounts, a_sender_killed_anywhere_has_put_a_message_that_counts_or_has_not) {
  for (const std::size_t size : {std::size_t{100}, std::size_t{100'000}}) {
    for (const kernel::FaultPoint point : test::FaultPoints{
             "message.writing", "message.written", "queue.put.reserved", "journal.staged",
             "journal.committed", "journal.applying", "queue.put.committed"}) {
      SCOPED_TRACE(std::string(point.name()) + " " + std::to_string(size));
      test::Child sender = test::fork_child([&] {
        test::die_at(point);
        (void)test::put(queue_, test::make_message(1, 1, size));
      });
      (void)sender.wait();
      while (test::try_get(queue_)) EXPECT_TRUE(count_.task_done(queue_));
      EXPECT_EQ(join(Deadline::poll()), Waited::done);
      EXPECT_FALSE(count_.task_done(queue_));
    }
  }
}

TEST_F(TaskCounts, who_reports_and_dies_leaves_nobody_waiting) {
  put();
  test::Child joiner = test::fork_child([&] { FORKFUL_MUST(join() == Waited::done); });
  FORKFUL_AWAIT(arena::member(joiner.member()).asleep != 0);
  test::Child reporter = test::fork_child([&] {
    test::die_at("task_count.counted");
    (void)count_.task_done(queue_);
  });
  EXPECT_EQ(reporter.wait(), -SIGKILL);
  EXPECT_EQ(joiner.wait(), 0);
}

TEST_F(TaskCounts, threads_join_what_threads_did) {
  constexpr int kTasks = 1500;
  test::SimulatedFamily family;
  const test::ActAs me(1);
  std::vector<long> done(2 * kTasks);
  std::vector<std::thread> workers;
  for (std::uint32_t slot = 2; slot < 4; ++slot) {
    workers.push_back(test::member_thread(slot, [&] {
      ByteMessage message;
      while (test::get(queue_, message) == ByteQueue::Got::received) {
        const auto stamp = test::read_message(message.bytes());
        ASSERT_TRUE(stamp);
        done[stamp->number] = 1;
        ASSERT_TRUE(count_.task_done(queue_));
      }
    }));
  }
  for (std::uint32_t half = 0; half < 2; ++half) {
    for (std::uint32_t i = 0; i < kTasks; ++i) {
      ASSERT_EQ(test::put(queue_, test::make_message(1, half * kTasks + i, 32)),
                ByteQueue::Put::sent);
    }
    ASSERT_EQ(join(), Waited::done);
    long sum = 0;
    for (const long each : done) sum += each;
    EXPECT_EQ(sum, (half + 1) * kTasks);
  }
  queue_.shut_down();
  for (std::thread& worker : workers) worker.join();
}

}  // namespace
}  // namespace forkful::bytes
