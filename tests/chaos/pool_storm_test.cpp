// A pool whose workers are killed, terminated and stopped, while several threads make all kinds of
// calls. Each task writes its number into a queue, so that what runs twice or not at all shows.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <forkful/forkful.hpp>
#include <mutex>
#include <random>
#include <ranges>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "chaos/storm.hpp"
#include "support/child.hpp"
#include "support/contexts.hpp"

namespace forkful::chaos {
namespace {

using namespace std::chrono_literals;

using Number = std::uint64_t;
struct Entry {
  Number number;
  int pid;
};
using Log = Queue<Entry>;

constexpr int kWorkers = 4;
constexpr int kCallers = 4;
constexpr Number kMostItems = 300;  // of a call

Number answer(Number number) { return number * 7 + 3; }

Number run(Log& log, Number number) {
  log.put({number, ::getpid()});
  return answer(number);
}
// Until it is killed.
Number run_for_ever(Log& log, Number number) {
  log.put({number, ::getpid()});
  for (;;) ::pause();
}

// Which tasks have run, as they write it into the queue.
class Ledger {
 public:
  Ledger() : reader_([this] { read(); }) {}

  [[nodiscard]] const Log& log() const { return log_; }
  // Numbers for a call's tasks.
  Number draw(Number count) { return next_.fetch_add(count); }
  // What ran must be noted here some time: before end().
  void end() {
    log_.shut_down();
    reader_.join();
  }
  // The process has begun a task. Workers that die before they have, again and again, are another
  // matter: there the pool gives up.
  [[nodiscard]] bool has_begun(int pid) {
    const std::lock_guard guard(mutex_);
    return pids_.contains(pid);
  }
  [[nodiscard]] bool ran(Number number) const { return number < ran_.size() && ran_[number]; }
  [[nodiscard]] Number doubled() const { return doubled_; }
  [[nodiscard]] Number count() const { return count_; }

 private:
  void read() {
    for (const auto [number, pid] : log_) {
      {
        const std::lock_guard guard(mutex_);
        pids_.insert(pid);
      }
      if (number >= ran_.size()) ran_.resize(2 * number + 1024);
      doubled_ += ran_[number] ? 1 : 0;
      ran_[number] = true;
      ++count_;
    }
  }

  Log log_;
  std::mutex mutex_;
  std::set<int> pids_;
  std::atomic<Number> next_{0};
  std::vector<bool> ran_;
  Number doubled_ = 0;
  Number count_ = 0;
  std::thread reader_;
};

struct Numbers {
  Number first;
  Number count;
};

// Threads that call the pool in every way.
class Callers {
 public:
  Callers(Pool& pool, Ledger& ledger, unsigned seed) : pool_(pool), ledger_(ledger) {
    for (int i = 0; i < kCallers; ++i) {
      threads_.emplace_back(
          [this, random = std::mt19937(seed + static_cast<unsigned>(i))]() mutable {
            while (!over_) call(random);
            ++ended_;
          });
    }
  }
  void call_end() { over_ = true; }
  [[nodiscard]] bool have_ended() const { return ended_ == kCallers; }
  void join() {
    for (std::thread& each : threads_) each.join();
  }

  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  [[nodiscard]] Number died() const { return died_; }
  [[nodiscard]] Number timed_out() const { return timed_out_; }
  [[nodiscard]] Number callbacks_due() const { return callbacks_due_; }
  [[nodiscard]] Number callbacks_run() const { return callbacks_run_; }
  [[nodiscard]] const std::vector<Numbers>& done() const { return done_; }
  [[nodiscard]] const std::vector<Numbers>& dropped() const { return dropped_; }

 private:
  // One call; a death costs it the one item that was running, and the call says so.
  void call(std::mt19937& random) {
    constexpr std::size_t kKinds = 8;
    const Number count = 1 + random() % kMostItems;
    try {
      switch (random() % kKinds) {
        case 0:
          return map(count, 0);
        case 1:
          return map(count, 1 + random() % 10);
        case 2:
          return imap(count, 1 + random() % 10, false);
        case 3:
          return imap(count, 1 + random() % 10, true);
        case 4:
          return apply();
        case 5:
          return drop(1 + count % 20);
        case 6:
          return call_back(1 + count % 20);
        default:
          return time_out();
      }
    } catch (const WorkerDied&) {
      ++died_;
      ++calls_;
    }
  }

  Numbers draw(Number count) { return {ledger_.draw(count), count}; }
  auto task() { return bind(run, ledger_.log()); }
  auto range_of(const Numbers& numbers) {
    return std::views::iota(numbers.first, numbers.first + numbers.count);
  }
  void note(std::vector<Numbers>& into, const Numbers& numbers) {
    const std::lock_guard guard(mutex_);
    into.push_back(numbers);
  }
  void finish(const Numbers& numbers) {
    note(done_, numbers);
    ++calls_;
  }
  static void expect(Number number, Number result) {
    if (result != answer(number)) ADD_FAILURE() << "a wrong result of " << number << ": " << result;
  }

  void map(Number count, std::size_t chunk) {
    const Numbers numbers = draw(count);
    const auto results = pool_.map(task(), range_of(numbers), {.chunk_size = chunk});
    for (Number i = 0; i < count; ++i) expect(numbers.first + i, results[i]);
    finish(numbers);
  }
  void imap(Number count, std::size_t chunk, bool unordered) {
    const Numbers numbers = draw(count);
    Number sum = 0;
    Number at = numbers.first;
    if (unordered) {
      for (const Number each :
           pool_.imap_unordered(task(), range_of(numbers), {.chunk_size = chunk})) {
        sum += each;
      }
    } else {
      for (const Number each : pool_.imap(task(), range_of(numbers), {.chunk_size = chunk})) {
        expect(at++, each);
        sum += each;
      }
    }
    Number right = 0;
    for (const Number each : range_of(numbers)) right += answer(each);
    if (sum != right) ADD_FAILURE() << "results are missing, or there are too many";
    finish(numbers);
  }
  void apply() {
    const Numbers numbers = draw(1);
    expect(numbers.first, pool_.apply(task(), numbers.first));
    finish(numbers);
  }
  // Nobody waits for these.
  void drop(Number count) {
    const Numbers numbers = draw(count);
    for (const Number each : range_of(numbers)) (void)pool_.apply_async(task(), each);
    note(dropped_, numbers);
    ++calls_;
  }
  void call_back(Number count) {
    const Numbers numbers = draw(count);
    for (const Number each : range_of(numbers)) {
      ++callbacks_due_;
      (void)pool_.apply_async(task(), each)
          .then([this, each](Number result) {
            expect(each, result);
            return result;
          })
          .on_error([this](const std::exception&) { ++died_; })
          .then([this](Number) { ++callbacks_run_; })
          .on_error([this](const std::exception&) { ++callbacks_run_; });
    }
    note(dropped_, numbers);
    ++calls_;
  }
  void time_out() {
    const Numbers numbers = draw(1);
    auto future = pool_.apply_async(TaskOptions{.timeout = 20ms}, bind(run_for_ever, ledger_.log()),
                                    numbers.first);
    try {
      (void)future.get();
      ADD_FAILURE() << "a task that never returns has returned";
    } catch (const TimeoutError&) {
      ++timed_out_;
      ++calls_;
    }
  }

  Pool& pool_;
  Ledger& ledger_;
  std::atomic<bool> over_{false};
  std::atomic<int> ended_{0};
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<Number> died_{0};
  std::atomic<Number> timed_out_{0};
  std::atomic<Number> callbacks_due_{0};
  std::atomic<Number> callbacks_run_{0};
  std::mutex mutex_;
  std::vector<Numbers> done_;
  std::vector<Numbers> dropped_;
  std::vector<std::thread> threads_;
};

void strike(Storm& storm, const Pool& pool, Ledger& ledger) {
  constexpr std::array<int, 3> kSignals{SIGKILL, SIGKILL, SIGTERM};
  std::vector<int> workers = pool.worker_pids();
  std::erase_if(workers, [&](int pid) { return !ledger.has_begun(pid); });
  if (workers.empty()) return;
  const int victim = workers[storm.draw(static_cast<std::uint32_t>(workers.size()))];
  if (storm.chance(30)) return storm.stop(victim);
  storm.kill(victim, kSignals[storm.draw(kSignals.size())]);
}

Number missing_in(const Ledger& ledger, const std::vector<Numbers>& all) {
  Number missing = 0;
  for (const Numbers& numbers : all) {
    for (Number i = 0; i < numbers.count; ++i) missing += ledger.ran(numbers.first + i) ? 0 : 1;
  }
  return missing;
}

class PoolStorm : public testing::TestWithParam<Context> {};

TEST_P(PoolStorm, answers_every_call_and_runs_no_task_twice) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "many processes";
  {
    Pool first(PoolOptions{.processes = kWorkers, .context = GetParam()});
    EXPECT_EQ(first.apply(answer, Number{1}), answer(1));
  }
  const std::uint64_t used = arena::check_heap();
  {
    Ledger ledger;
    Pool pool(PoolOptions{.processes = kWorkers, .context = GetParam()});
    Callers callers(pool, ledger, test::seed());
    Storm storm("pool " + test::to_string(GetParam()), 150, [&] { return callers.calls(); });
    storm.set_most_pause(20ms);
    while (storm.rages() && !HasFailure()) strike(storm, pool, ledger);

    callers.call_end();
    storm.await("the last calls", [&] { return callers.have_ended(); });
    callers.join();
    pool.close();
    EXPECT_TRUE(pool.join_for(kPatience)) << "workers or callbacks that hang";
    ledger.end();

    const auto kills = static_cast<Number>(storm.kills());
    const Number lost = missing_in(ledger, callers.dropped());
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(missing_in(ledger, callers.done()), 0u)
        << "a call has results of tasks that never ran";
    EXPECT_LE(callers.died(), kills) << "a death costs one item";
    EXPECT_LE(lost, kills);
    EXPECT_EQ(callers.callbacks_run(), callers.callbacks_due());
    storm.report("calls=" + std::to_string(callers.calls()) + " tasks=" +
                 std::to_string(ledger.count()) + " died=" + std::to_string(callers.died()) +
                 " timed_out=" + std::to_string(callers.timed_out()) +
                 " lost_unwaited=" + std::to_string(lost));
  }
  expect_flat_heap(used);
}

INSTANTIATE_TEST_SUITE_P(, PoolStorm, testing::Values(Context::spawn, Context::forkserver),
                         [](const auto& context) { return test::to_string(context.param); });

}  // namespace
}  // namespace forkful::chaos
