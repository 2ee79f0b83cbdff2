// What a pool does when something goes wrong in the middle: inside its own steps, in a codec, in a
// thread.

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <forkful/bytes/family.hpp>
#include <forkful/forkful.hpp>
#include <memory>
#include <ranges>

#include "support/child.hpp"
#include "unit/api/contexts.hpp"

namespace forkful::test {

// Cannot be read where `pid` says: 0 is a worker, another number that process.
class Unreadable {
 public:
  Unreadable(int pid, int value) : pid_(pid), value_(value) {}
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] int value() const { return value_; }

 private:
  int pid_;
  int value_;
};

}  // namespace forkful::test

template <>
struct forkful::codec<forkful::test::Unreadable> {
  static void write(Writer& to, const test::Unreadable& value) {
    to.raw(value.pid());
    to.raw(value.value());
  }
  static test::Unreadable read(Reader& from) {
    const int pid = from.raw<int>();
    const int value = from.raw<int>();
    if (pid == ::getpid()) throw std::domain_error("cannot read " + std::to_string(value));
    if (pid < 0 && -pid != ::getpid()) throw 42;
    return {pid, value};
  }
};

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class PoolFaults : public AllContexts {
 protected:
  [[nodiscard]] PoolOptions options(int processes = 2) const {
    return {.processes = processes, .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(PoolFaults);

int same(int x) { return x; }

// Runs items of which one kills its worker at its next pass of a fault point: in the queue that all
// of them use, or in the pool's own rings and claims. Returns how many were lost.
int lost_when_dying_at(Pool& pool, kernel::FaultPoint point, std::size_t chunk) {
  constexpr int kItems = 40;
  const Queue<int> log;
  const std::string name = point.name();
  auto results = pool.imap(bind(
                               [](const std::string& where, const Queue<int>& to, int x) {
                                 if (x == 17) die_at(kernel::FaultPoint::named(where));
                                 to.put(x);
                                 (void)to.get();
                                 return x;
                               },
                               name, log),
                           std::views::iota(0, kItems), {.chunk_size = chunk});
  int index = 0;
  int lost = 0;
  for (auto& outcome : results.outcomes()) {
    if (outcome.ok()) {
      EXPECT_EQ(outcome.value(), index) << point.name();
    } else {
      EXPECT_THROW(std::rethrow_exception(outcome.error()), WorkerDied) << point.name();
      ++lost;
    }
    ++index;
  }
  EXPECT_EQ(index, kItems) << point.name();
  return lost;
}

TEST_P(PoolFaults, a_worker_killed_at_any_point_costs_one_item_at_most) {
  for (const kernel::FaultPoint point :
       FaultPoints{"queue.put.reserved", "queue.put.committed", "queue.get.looked",
                   "queue.get.copied", "queue.get.committed", "journal.staged", "journal.committed",
                   "journal.applying", "pool.claimed", "pool.item.begun", "pool.item.committed"}) {
    for (const std::size_t chunk : {1, 8}) {
      Pool pool(options());
      int lost = lost_when_dying_at(pool, point, chunk);
      try {
        EXPECT_EQ(pool.map(same, std::vector{1, 2, 3}), (std::vector{1, 2, 3})) << point.name();
      } catch (const WorkerDied&) {
        ++lost;  // it had not passed the point again before
      }
      EXPECT_LE(lost, 1) << point.name() << " chunk " << chunk;
    }
  }
}

TEST_P(PoolFaults, a_worker_killed_in_putting_much_leaves_nothing_of_it) {
  constexpr std::size_t kMuch = 64u << 20;
  const Queue<std::vector<char>> queue;
  Pool pool(options(1));
  const auto put = [](const Queue<std::vector<char>>& to, const std::string& point) {
    die_at(kernel::FaultPoint::named(point));
    to.put(std::vector<char>(kMuch, 'x'));
  };
  const auto give = [](const std::string& point) {
    die_at(kernel::FaultPoint::named(point));
    return std::vector<char>(kMuch, 'y');
  };
  EXPECT_EQ(pool.apply(same, 1), 1);
  const std::uint64_t before = bytes::heap_use().bytes_used;
  for (const kernel::FaultPoint point : FaultPoints{"message.writing", "message.written"}) {
    EXPECT_THROW(pool.apply(put, queue, std::string(point.name())), WorkerDied);
    EXPECT_TRUE(queue.empty());
    EXPECT_THROW(pool.apply(give, std::string(point.name())), WorkerDied);
  }
  EXPECT_EQ(pool.apply(same, 1), 1);
  EXPECT_TRUE(eventually([&] { return bytes::heap_use().bytes_used < before + (1u << 20); }))
      << bytes::heap_use().bytes_used - before;
}

TEST_P(PoolFaults, a_stopped_worker_ends_within_the_grace_of_terminate) {
  Pool pool(options());
  EXPECT_EQ(pool.map(same, std::vector{1, 2}), (std::vector{1, 2}));
  const auto pids = pool.worker_pids();
  for (const int pid : pids) ::kill(pid, SIGSTOP);
  const auto begin = std::chrono::steady_clock::now();
  pool.terminate();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_TRUE(pool.worker_pids().empty());
}

TEST_P(PoolFaults, an_argument_that_cannot_be_read_fails_its_call_alone) {
  Pool pool(options());
  const auto value_of = [](const Unreadable& each) { return each.value(); };
  std::vector<Unreadable> items;
  for (int i = 0; i < 20; ++i) items.emplace_back(i == 7 ? -::getpid() : 0, i);
  int failed = 0;
  auto results = pool.imap(value_of, items, {.chunk_size = 5});
  for (auto& outcome : results.outcomes()) {
    if (!outcome.ok()) {
      EXPECT_THROW(outcome.value(), RemoteError);  // it threw 42
      ++failed;
    }
  }
  EXPECT_EQ(failed, 1);
  EXPECT_THROW(pool.map(value_of, items), RemoteError);
  EXPECT_THROW(pool.apply(bind([](const Unreadable& front) { return front.value(); },
                               Unreadable(-::getpid(), 1))),
               RemoteError);
  EXPECT_EQ(pool.apply(same, 1), 1);
}

TEST_P(PoolFaults, a_result_that_cannot_be_read_fails_its_call_alone) {
  Pool pool(options());
  const auto make = [](int pid, int value) { return Unreadable(value == 7 ? pid : 0, value); };
  int failed = 0;
  auto results = pool.imap(bind(make, ::getpid()), std::views::iota(0, 20), {.chunk_size = 5});
  for (auto& outcome : results.outcomes()) {
    if (!outcome.ok()) {
      EXPECT_THROW(outcome.value(), std::domain_error);
      ++failed;
    }
  }
  EXPECT_EQ(failed, 1);
  EXPECT_THROW(pool.map(bind(make, ::getpid()), std::views::iota(0, 20)), std::domain_error);
  auto future = pool.apply_async(make, ::getpid(), 7);
  EXPECT_THROW(future.get(), std::domain_error);
  bool told = false;
  pool.apply_async(make, ::getpid(), 7)
      .then([](const Unreadable&) {})
      .on_error([&](const std::exception&) { told = true; })
      .get();
  EXPECT_TRUE(told);
  EXPECT_EQ(pool.apply(same, 1), 1);
}

// Whose text is nothing, or more than is reasonable.
class Speechless : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return nullptr; }
};

TEST_P(PoolFaults, an_exception_of_any_kind_arrives) {
  Pool pool(options());
  EXPECT_THROW(pool.apply([] { throw Speechless(); }), RemoteError);
  try {
    pool.apply([] { throw std::runtime_error(std::string(1 << 20, 'w')); });
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()).size(), 1u << 20);
  }
  EXPECT_THROW(pool.apply([] { throw std::make_unique<int>(1); }), RemoteError);
  EXPECT_EQ(pool.apply(same, 1), 1);
}

TEST_P(PoolFaults, a_task_that_ends_its_thread_ends_its_worker) {
  Pool pool(options());
  EXPECT_THROW(pool.apply([] { ::pthread_exit(nullptr); }), WorkerDied);
  EXPECT_THROW(pool.apply([] {
    ::pthread_cancel(::pthread_self());
    ::pthread_testcancel();
  }),
               WorkerDied);
  EXPECT_EQ(pool.apply(same, 1), 1);
}

TEST_P(PoolFaults, pools_of_every_kind_work_in_a_worker) {
  Pool pool(options());
  const int sum = pool.apply(
      [](int context) {
        int all = 0;
        ProcessPoolExecutor inner({.max_workers = 1, .context = static_cast<Context>(context)});
        inner.submit(same, 1).then([&](int x) { all += x; }).get();
        for (const int x : fork_map([&](int y) { return y + 1; }, std::vector{1, 2})) all += x;
        Pool other({.processes = 1, .context = static_cast<Context>(context)});
        try {
          other.apply([] { ::_exit(4); });
        } catch (const WorkerDied& died) {
          all += 100 * died.exit_code();
        }
        return all;
      },
      static_cast<int>(GetParam()));
  EXPECT_EQ(sum, 1 + 2 + 3 + 400);
}

}  // namespace
}  // namespace forkful::test
