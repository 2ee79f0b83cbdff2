// JoinableQueue and SimpleQueue between processes.

#include <signal.h>
#include <unistd.h>

#include <forkful/forkful.hpp>
#include <thread>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Joinables : public AllContexts {
 protected:
  [[nodiscard]] ProcessOptions options() const { return {.context = GetParam()}; }
};
FORKFUL_OVER_ALL_CONTEXTS(Joinables);

TEST_P(Joinables, join_waits_for_what_is_done_elsewhere) {
  JoinableQueue<int> jobs;
  Value<long> sum(0);
  const auto work = [](JoinableQueue<int>& from, Value<long>& to) {
    for (const int job : from) {
      *to.lock() += job;
      from.task_done();
    }
  };
  Process first(options(), work, jobs, sum);
  Process second(options(), work, jobs, sum);
  long expected = 0;
  for (int round = 0; round < 20; ++round) {
    for (int i = 1; i <= 50; ++i) jobs.put(i), expected += i;
    jobs.join();
    EXPECT_EQ(sum.load(), expected);
    EXPECT_EQ(jobs.unfinished(), 0u);
  }
  jobs.shut_down();
  first.join();
  second.join();
  EXPECT_EQ(first.exit_code(), 0);
}

TEST_P(Joinables, what_is_sent_through_the_plain_queue_counts_too) {
  JoinableQueue<std::string> jobs(2);
  const Queue<std::string>& plain = jobs;
  Process sender(options(), [](Queue<std::string>& to) { to.put("job"); }, plain);
  EXPECT_EQ(jobs.get(), "job");
  EXPECT_EQ(jobs.unfinished(), 1u);
  EXPECT_FALSE(jobs.join_for(1ms));
  jobs.task_done();
  jobs.join();
}

TEST_P(Joinables, a_receiver_killed_with_a_message_leaves_it_unfinished) {
  JoinableQueue<int> jobs;
  jobs.put(1);
  Process killed(
      options(),
      [](JoinableQueue<int>& from) {
        (void)from.get();
        ::kill(::getpid(), SIGKILL);
      },
      jobs);
  killed.join();
  EXPECT_FALSE(jobs.join_for(1ms));
  jobs.task_done();
  EXPECT_TRUE(jobs.join_for(0ms));
}

TEST(JoinableQueue, refuses_one_report_too_many_and_counts_no_refused_put) {
  const JoinableQueue<int> jobs(1);
  EXPECT_THROW(jobs.task_done(), Error);
  jobs.join();
  jobs.put(1);
  EXPECT_FALSE(jobs.try_put(2));
  EXPECT_EQ(jobs.unfinished(), 1u);
  EXPECT_FALSE(jobs.join_until(std::chrono::steady_clock::now() + 1ms));
  EXPECT_FALSE(jobs.join_until(std::chrono::system_clock::now() + 1ms));
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_FALSE(jobs.join(stop.get_token()));
  jobs.shut_down();
  EXPECT_THROW(jobs.put(3), ShutDown);
  EXPECT_EQ(jobs.get(), 1);
  jobs.task_done();
  EXPECT_THROW(jobs.task_done(), Error);
  EXPECT_TRUE(jobs.join(std::stop_token()));
}

TEST_P(Joinables, a_simple_queue_carries_values) {
  SimpleQueue<std::vector<int>> queue;
  EXPECT_TRUE(queue.empty());
  Process child(options(), [](SimpleQueue<std::vector<int>>& to) { to.put({1, 2, 3}); }, queue);
  EXPECT_EQ(queue.get(), (std::vector{1, 2, 3}));
  EXPECT_TRUE(queue.empty());
}

TEST(SimpleQueue, ends_its_waits_and_can_be_closed_here) {
  SimpleQueue<int> queue;
  SimpleQueue<int> other = queue;
  EXPECT_EQ(queue.get_for(1ms), std::nullopt);
  EXPECT_EQ(queue.get_until(std::chrono::system_clock::now() + 1ms), std::nullopt);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(queue.get(stop.get_token()), std::nullopt);
  queue.put(1);
  queue.close();
  queue.close();
  EXPECT_THROW(queue.put(2), Error);
  EXPECT_THROW((void)queue.get(), Error);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(other.get(), 1);
}

}  // namespace
}  // namespace forkful::test
