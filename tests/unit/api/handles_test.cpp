// Handles by the thousand through messages, tasks, results and starts: nothing of them stays.

#include <signal.h>
#include <unistd.h>

#include <forkful/bytes/family.hpp>
#include <forkful/forkful.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

constexpr int kMany = 20'000;

std::uint64_t used() { return bytes::heap_use().bytes_used; }

// What grows once and stays while one handle at a time is on its way: runs of small
// blocks, a list of holdings.
constexpr std::uint64_t kSlack = 512 << 10;

struct Request {
  int number = 0;
  Queue<int> reply = Queue<int>();
  Lock lock = Lock();
  Event done = Event();
  Semaphore semaphore = Semaphore(0);
  Value<int> value = Value<int>(0);
};

void answer(Queue<Request>& requests) {
  for (Request request : requests) {
    request.value.store(request.number);
    request.semaphore.release();
    request.done.set();
    request.reply.put(2 * request.number);
  }
}

class ManyHandles : public AllContexts {
 protected:
  [[nodiscard]] ProcessOptions options() const { return {.context = GetParam()}; }
  [[nodiscard]] PoolOptions pool_options() const { return {.processes = 2, .context = GetParam()}; }
};
FORKFUL_OVER_ALL_CONTEXTS(ManyHandles);

TEST_P(ManyHandles, in_requests_cost_no_memory_that_stays) {
  Queue<Request> requests;
  Process server(options(), answer, requests);
  std::uint64_t before = 0;
  for (int i = 0; i < kMany / 4; ++i) {
    if (i == 100) before = used();
    Request request;
    request.number = i;
    requests.put(request);
    ASSERT_EQ(request.reply.get(), 2 * i);
    request.done.wait();
    request.semaphore.acquire();
    ASSERT_EQ(request.value.load(), i);
  }
  EXPECT_LT(used(), before + kSlack);
  requests.shut_down();
}

TEST_P(ManyHandles, in_requests_that_are_dropped_by_all_cost_no_memory_that_stays) {
  Queue<Queue<int>> requests;
  Process server(
      options(),
      [](Queue<Queue<int>>& from) {
        for (auto reply : from) reply.put(1);
      },
      requests);
  std::uint64_t before = 0;
  for (int i = 0; i < kMany; ++i) {
    if (i == 1000) before = used();
    requests.put(Queue<int>());  // nobody reads what is replied
    while (requests.size() > 100) std::this_thread::yield();
  }
  ASSERT_TRUE(eventually([&] { return used() < before + kSlack; })) << used() << " " << before;
  requests.shut_down();
}

TEST_P(ManyHandles, in_tasks_and_results_cost_no_memory_that_stays) {
  Pool pool(pool_options());
  std::uint64_t before = 0;
  for (int i = 0; i < kMany / 4; ++i) {
    if (i == 100) before = used();
    const Queue<int> queue;
    const Queue<int> same = pool.apply(
        [](Queue<int>& given, int number) {
          given.put(number);
          return given;
        },
        queue, i);
    ASSERT_EQ(same, queue);
    ASSERT_EQ(queue.get(), i);
    // One that only the worker has ever held, and the result.
    Value<int> made = pool.apply([](int number) { return Value<int>(number); }, i);
    ASSERT_EQ(made.load(), i);
  }
  EXPECT_LT(used(), before + kSlack);
}

TEST_P(ManyHandles, in_chunks_come_whole_and_cost_no_memory_that_stays) {
  Pool pool(pool_options());
  std::uint64_t before = 0;
  for (int turn = 0; turn < 8; ++turn) {
    if (turn == 2) before = used();
    std::vector<Value<int>> given;
    for (int i = 0; i < 500; ++i) given.emplace_back(i);
    const auto made = pool.map([](Value<int>& value) { return Value<int>(value.load() + 1); },
                               given, {.chunk_size = 100});
    for (int i = 0; i < 500; ++i) ASSERT_EQ(made[i].load(), i + 1);
  }
  EXPECT_LT(used(), before + kSlack);
}

TEST_P(ManyHandles, in_captures_and_initializers_are_held_by_every_task) {
  const Queue<int> log;
  std::uint64_t before = 0;
  for (int turn = 0; turn < 3; ++turn) {
    if (turn == 1) before = used();
    std::vector<Queue<int>> bound(20);
    Pool pool({.processes = 2,
               .initializer =
                   forkful::bind([](const std::vector<Queue<int>>& all) { all[19].put(1); }, bound),
               .context = GetParam()});
    auto results = pool.map_async(
        forkful::bind(
            [](const std::vector<Queue<int>>& all, int item) { all[item % 20].put(item); }, bound),
        std::vector<int>(200, 7));
    results.get();
    EXPECT_EQ(bound[7].size(), 200u);
    pool.close();
    pool.join();
  }
  EXPECT_LT(used(), before + kSlack);
}

TEST_P(ManyHandles, given_to_a_process_at_its_start_go_with_it) {
  std::uint64_t before = 0;
  for (int turn = 0; turn < 4; ++turn) {
    if (turn == 1) before = used();
    std::vector<Queue<int>> queues(100);
    queues.push_back(queues[0]);
    Process child(
        options(),
        [](const std::vector<Queue<int>>& all) {
          for (std::size_t i = 0; i < all.size(); ++i) all[i].put(static_cast<int>(i));
        },
        queues);
    child.join();
    EXPECT_EQ(child.exit_code(), 0);
    for (int i = 0; i < 100; ++i) ASSERT_EQ(queues[i].get(), i);
    ASSERT_EQ(queues[0].get(), 100);
  }
  EXPECT_LT(used(), before + kSlack);
}

TEST_P(ManyHandles, that_workers_die_with_are_given_back) {
  Pool pool(pool_options());
  std::uint64_t before = 0;
  for (int turn = 0; turn < 12; ++turn) {
    if (turn == 4) before = used();
    const std::vector<Queue<int>> queues(200);
    EXPECT_THROW(pool.map(
                     [](Queue<int>& queue) {
                       queue.put(1);
                       if (queue.size() == 1) ::kill(::getpid(), SIGKILL);
                       return queue;
                     },
                     std::vector<Queue<int>>(queues.begin(), queues.begin() + 1)),
                 WorkerDied);
    for (const Queue<int>& each : pool.map([](Queue<int>& queue) { return queue; }, queues)) {
      ASSERT_TRUE(each.size() <= 1);
    }
  }
  EXPECT_LT(used(), before + kSlack);
}

TEST(HandlesOfSeveralObjects, are_held_by_their_message) {
  std::uint64_t before = 0;
  for (int i = 0; i < 2000; ++i) {
    if (i == 100) before = used();
    Queue<std::tuple<JoinableQueue<int>, Condition, Barrier, RLock, BoundedSemaphore>> queue;
    {
      JoinableQueue<int> joinable;
      joinable.put(i);
      queue.put({joinable, Condition(), Barrier(2), RLock(), BoundedSemaphore(1)});
      if (i % 2 == 0) queue.put({joinable, Condition(), Barrier(2), RLock(), BoundedSemaphore(1)});
    }
    const auto [joinable, condition, barrier, lock, semaphore] = queue.get();
    EXPECT_EQ(joinable.get(), i);
    joinable.task_done();
    joinable.join();
    const std::lock_guard held(condition);
  }
  EXPECT_LT(used(), before + kSlack);
}

TEST(HandlesThroughAPipe, live_though_nobody_holds_them) {
  auto [a, b] = Pipe();
  a.send(Queue<int>());
  auto queue = b.recv<Queue<int>>();
  queue.put(1);
  EXPECT_EQ(queue.get(), 1);
}

TEST(HandlesThroughAPipe, cost_no_memory_that_stays_once_they_are_received) {
  auto [a, b] = Pipe();
  const auto pass_some = [&] {
    a.send(Queue<int>());
    b.recv<Queue<int>>().put(1);
    a.send(std::vector<Lock>(3));
    EXPECT_EQ(b.recv<std::vector<Lock>>().size(), 3u);
    std::vector<Queue<int>> many(40);
    many[7].put(7);
    a.send(many);
    many.clear();
    EXPECT_EQ(b.recv<std::vector<Queue<int>>>()[7].get(), 7);
  };
  pass_some();
  const std::uint64_t before = used();
  for (int i = 0; i < 200; ++i) pass_some();
  EXPECT_LT(used(), before + kSlack);
}

TEST(HandlesThroughAPipe, that_cannot_be_sent_or_read_are_given_back) {
  constexpr int kTimes = 3'000;
  auto [a, b] = Pipe();
  // Small ones: of a larger one the first bytes may find room, and then it has to be sent.
  while (a.send_for(std::string(100, 'x'), 0ms)) continue;
  const std::uint64_t before = used();
  for (int i = 0; i < kTimes; ++i) EXPECT_FALSE(a.send_for(Queue<int>(), 0ms));
  while (b.poll()) EXPECT_EQ(b.recv<std::string>().size(), 100u);
  for (int i = 0; i < kTimes; ++i) {
    a.send(Queue<int>());
    EXPECT_THROW((void)b.recv<std::vector<std::string>>(), Error);
  }
  b.close();
  for (int i = 0; i < kTimes; ++i) EXPECT_THROW(a.send(Queue<int>()), OsError);
  EXPECT_LT(used(), before + kSlack);
}

TEST(HandlesThroughAPipe, of_a_sender_that_is_killed_reach_the_receiver) {
  bytes::join_family();  // before the forks, which share it then
  auto [a, b] = Pipe();
  const std::uint64_t before = used();
  for (int i = 0; i < 20; ++i) {
    Child sender = fork_child([i, end = ::dup(a.fileno())] {
      Connection to(bytes::RawConnection::from_fd(end, true, true));
      Queue<std::string> queue;
      queue.put(std::string(100'000, static_cast<char>('a' + i)));
      to.send(queue);
      die();
    });
    EXPECT_EQ(sender.wait(), -SIGKILL);
    EXPECT_EQ(b.recv<Queue<std::string>>().get().back(), 'a' + i);
  }
  EXPECT_LT(used(), before + kSlack);
}

}  // namespace
}  // namespace forkful::test
