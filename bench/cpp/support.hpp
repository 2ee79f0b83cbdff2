// What the benchmarks share: pinning, the message of 64 bytes, children by fork for the rivals.
//
// Every measurement is one iteration that times itself, since two processes take part: the child
// says that it is ready, then the clock starts. The environment says
//
//   BENCH_PIN      "split": this process on the first CPU, its children on the second;
//                  "same": all on the first; nothing: as the scheduler likes
//   BENCH_QUICK    a hundredth of the operations, to try that all of it works
#pragma once

#include <benchmark/benchmark.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <forkful/init.hpp>
#include <stdexcept>
#include <string>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The number of operations of a measurement.
inline std::uint64_t operations(std::uint64_t full) {
  if (std::getenv("BENCH_QUICK") == nullptr) return full;
  return full < 400 ? 4 : full / 100;
}

// --- pinning ---

inline void pin_to(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (::sched_setaffinity(0, sizeof one, &one) != 0) throw std::runtime_error("cannot pin");
}

// Call first in main. A child inherits this process's one CPU, so it is told which is its own.
inline void pin_parent() {
  const char* how = std::getenv("BENCH_PIN");
  if (how == nullptr || *how == '\0') return;
  cpu_set_t all;
  if (::sched_getaffinity(0, sizeof all, &all) != 0) throw std::runtime_error("no affinity");
  int first = 0;
  while (!CPU_ISSET(first, &all)) ++first;
  int second = first;
  if (std::string(how) == "split" && CPU_COUNT(&all) > 1) {
    do ++second;
    while (!CPU_ISSET(second, &all));
  }
  ::setenv("BENCH_CHILD_CPU", std::to_string(second).c_str(), 1);
  pin_to(first);
}
// Call first in each child.
inline void pin_child() {
  if (const char* cpu = std::getenv("BENCH_CHILD_CPU")) pin_to(std::atoi(cpu));
}

// --- messages ---

struct Message {
  std::array<std::uint64_t, 8> words;
};
static_assert(sizeof(Message) == 64);

inline Message message(std::uint64_t number) {
  return {
      {number, number + 1, number + 2, number + 3, number + 4, number + 5, number + 6, ~number}};
}

// That all messages arrived, whole: the sum of all words, and of the numbers.
class Received {
 public:
  void add(const Message& message) {
    numbers_ += message.words.front();
    for (const std::uint64_t word : message.words) words_ += word;
  }
  void check(std::uint64_t count) const {
    Received expected;
    for (std::uint64_t i = 0; i < count; ++i) expected.add(message(i));
    if (numbers_ != expected.numbers_ || words_ != expected.words_) {
      throw std::runtime_error("messages were lost or damaged");
    }
  }

 private:
  std::uint64_t numbers_ = 0;
  std::uint64_t words_ = 0;
};

// --- processes of the rivals ---

// A word from one process to another, where nothing is measured.
class Signal {
 public:
  Signal() {
    if (::pipe(ends_.data()) != 0) throw std::runtime_error("no pipe");
  }
  ~Signal() {
    for (const int end : ends_) ::close(end);
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  void send() const {
    if (::write(ends_[1], "!", 1) != 1) throw std::runtime_error("no reader");
  }
  void await() const {
    char word = 0;
    if (::read(ends_[0], &word, 1) != 1) throw std::runtime_error("no word came");
  }

 private:
  std::array<int, 2> ends_{};
};

// A child by fork; the destructor waits for it and throws nothing. Why _Fork: it runs no handlers,
// so that the child does not become a member of forkful's family, which would count it as busy.
class Child {
 public:
  template <class Work>
  explicit Child(Work&& work) : pid_(::_Fork()) {
    if (pid_ < 0) throw std::runtime_error("no child");
    if (pid_ > 0) return;
    int code = 1;
    try {
      pin_child();
      work();
      code = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "bench: a rival's child: %s\n", error.what());
    }
    ::_exit(code);
  }
  ~Child() { ::waitpid(pid_, nullptr, 0); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  pid_t pid_;
};

// A process besides, not pinned, that wants a CPU all the time.
class Busy {
 public:
  Busy() : pid_(::_Fork()) {
    if (pid_ < 0) throw std::runtime_error("no child");
    if (pid_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) asm volatile("");
  }
  ~Busy() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  pid_t pid_;
};

// --- reports ---

// One iteration that took `seconds` for `operations` operations.
inline void report(benchmark::State& state, double seconds, std::uint64_t operations) {
  state.SetIterationTime(seconds);
  state.SetItemsProcessed(static_cast<std::int64_t>(operations));
}

// Measures once a repetition; `measure(operations)` gives seconds.
template <class Measure>
void add(const std::string& name, std::uint64_t full, Measure measure) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) {
                                 const std::uint64_t count = operations(full);
                                 for (auto _ : state) {
                                   try {
                                     report(state, measure(count), count);
                                   } catch (const std::exception& error) {
                                     state.SkipWithError(error.what());
                                     break;
                                   }
                                 }
                               })
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

// main() of every benchmark: workers of forkful's begin, and end, in init().
template <class Register>
int run(int argc, char** argv, Register register_all) {
  forkful::init(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  pin_parent();
  register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace bench
