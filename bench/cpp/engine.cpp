// One measurement of the C++ library, or of the standard means for the same.
//
//   engine forkful "Queue<int> 1->1" 100000       prints operations a second
//
// What stands beside forkful: a pipe between processes, the mutex of pthreads that processes share
// and that notices a dead owner, std::async (threads), and posix_spawn of this very program.

#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <forkful/event.hpp>
#include <forkful/init.hpp>
#include <forkful/lock.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <functional>
#include <future>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double rate(int operations, Clock::time_point begin) {
  return operations / std::chrono::duration<double>(Clock::now() - begin).count();
}

int same(int item) { return item; }

// --- forkful ---

void put_many(forkful::Queue<int> queue, forkful::Event go, int count) {
  go.wait();
  for (int i = 0; i < count; ++i) queue.put(i);
}

void echo(forkful::Queue<int> there, forkful::Queue<int> back, int count) {
  for (int i = 0; i < count; ++i) back.put(there.get());
}

double queue_rate(int count) {
  forkful::Queue<int> queue;
  forkful::Queue<int> ready;
  forkful::Event go;
  forkful::Process sender(
      [](forkful::Queue<int> to, forkful::Queue<int> started, forkful::Event begin, int all) {
        started.put(1);
        put_many(to, begin, all);
      },
      queue, ready, go, count);
  (void)ready.get();
  const auto begin = Clock::now();
  go.set();
  for (int i = 0; i < count; ++i) (void)queue.get();
  return rate(count, begin);
}

double queue_round_trips(int count) {
  forkful::Queue<int> there;
  forkful::Queue<int> back;
  const int warm_up = count / 10;
  forkful::Process child(echo, there, back, count + warm_up);
  const auto trip = [&](int i) {
    there.put(i);
    (void)back.get();
  };
  for (int i = 0; i < warm_up; ++i) trip(i);
  const auto begin = Clock::now();
  for (int i = 0; i < count; ++i) trip(i);
  return rate(count, begin);
}

double lock_pairs(int count) {
  forkful::Lock lock;
  const auto begin = Clock::now();
  for (int i = 0; i < count; ++i) {
    lock.lock();
    lock.unlock();
  }
  return rate(count, begin);
}

double pool_map(int count) {
  forkful::Pool pool(2);
  std::vector<int> items(static_cast<std::size_t>(count));
  std::iota(items.begin(), items.end(), 0);
  (void)pool.map(same, std::vector<int>(100), {.chunk_size = 1});
  const auto begin = Clock::now();
  if (pool.map(same, items, {.chunk_size = 1}) != items) throw std::logic_error("wrong results");
  return rate(count, begin);
}

double process_starts(int count) {
  const auto begin = Clock::now();
  for (int i = 0; i < count; ++i) {
    forkful::Process child([] {});
    child.join();
  }
  return rate(count, begin);
}

// --- beside it ---

struct Pipe {
  Pipe() {
    if (::pipe(ends) != 0) throw std::runtime_error("pipe failed");
  }
  void put(int value) const {
    if (::write(ends[1], &value, sizeof value) != sizeof value) std::_Exit(1);
  }
  [[nodiscard]] int get() const {
    int value = 0;
    if (::read(ends[0], &value, sizeof value) != sizeof value)
      throw std::runtime_error("read failed");
    return value;
  }
  int ends[2];
};

template <class Work>
void fork_for(Work work) {
  if (const pid_t pid = ::fork(); pid == 0) {
    work();
    std::_Exit(0);
  }
}

double pipe_rate(int count) {
  const Pipe pipe;
  const Pipe go;
  fork_for([&] {
    (void)go.get();
    for (int i = 0; i < count; ++i) pipe.put(i);
  });
  const auto begin = Clock::now();
  go.put(1);
  for (int i = 0; i < count; ++i) (void)pipe.get();
  return rate(count, begin);
}

double pipe_round_trips(int count) {
  const Pipe there;
  const Pipe back;
  fork_for([&] {
    for (int i = 0; i < count; ++i) back.put(there.get());
  });
  const auto begin = Clock::now();
  for (int i = 0; i < count; ++i) {
    there.put(i);
    (void)back.get();
  }
  return rate(count, begin);
}

double mutex_pairs(int count) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &kind);
  const auto begin = Clock::now();
  for (int i = 0; i < count; ++i) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  return rate(count, begin);
}

double async_map(int count) {
  long sum = 0;
  const auto begin = Clock::now();
  for (int i = 0; i < count; i += 2) {
    auto one = std::async(std::launch::async, same, i);
    auto other = std::async(std::launch::async, same, i + 1);
    sum += one.get() + other.get();
  }
  if (sum != (long{count} - 1) * count / 2) throw std::logic_error("wrong results");
  return rate(count, begin);
}

double program_starts(int count) {
  const auto begin = Clock::now();
  for (int i = 0; i < count; ++i) {
    char name[] = "engine";
    char option[] = "--exit";
    char* const arguments[] = {name, option, nullptr};
    pid_t pid = 0;
    if (::posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0) {
      throw std::runtime_error("posix_spawn failed");
    }
    ::waitpid(pid, nullptr, 0);
  }
  return rate(count, begin);
}

using Scenario = std::function<double(int)>;

const std::map<std::string, std::map<std::string, Scenario>> kScenarios = {
    {"Queue<int> 1->1", {{"forkful", queue_rate}, {"pipe", pipe_rate}}},
    {"Queue<int>: round trip", {{"forkful", queue_round_trips}, {"pipe", pipe_round_trips}}},
    {"Lock: lock, unlock", {{"forkful", lock_pairs}, {"robust pthread mutex", mutex_pairs}}},
    {"Pool.map chunk_size=1", {{"forkful", pool_map}, {"std::async", async_map}}},
    {"Process: start, join", {{"forkful", process_starts}, {"posix_spawn", program_starts}}},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--exit") return 0;
  forkful::init(argc, argv);
  if (argc != 4) {
    std::fprintf(stderr, "usage: engine BACKEND SCENARIO OPERATIONS\n");
    return 2;
  }
  std::printf("%.6g\n", kScenarios.at(argv[2]).at(argv[1])(std::atoi(argv[3])));
}
