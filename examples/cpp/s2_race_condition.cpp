// What happens to a shared number without a lock around reading and writing it, and with one.
// In C++ too each load() and each store() is whole; it is the two together that race.

#include <chrono>
#include <forkful/barrier.hpp>
#include <forkful/init.hpp>
#include <forkful/lock.hpp>
#include <forkful/process.hpp>
#include <forkful/value.hpp>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

constexpr int kProcesses = 4;

void unsafe_increment(forkful::Value<int> counter, forkful::Barrier start, int iterations) {
  start.wait();  // all at once, or the first is done before the last begins
  for (int i = 0; i < iterations; ++i) {
    const int seen = counter.load();
    std::this_thread::sleep_for(std::chrono::microseconds(1));  // others come in between
    counter.store(seen + 1);
  }
}

void safe_increment(forkful::Value<int> counter, forkful::Lock lock, int iterations) {
  for (int i = 0; i < iterations; ++i) {
    const std::lock_guard guard(lock);
    counter.store(counter.load() + 1);
  }
}

int count_unsafely() {
  const forkful::Value<int> counter(0);
  const forkful::Barrier start(kProcesses);
  std::vector<forkful::Process> processes;
  for (int i = 0; i < kProcesses; ++i) {
    processes.emplace_back(unsafe_increment, counter, start, 100);
  }
  for (auto& process : processes) process.join();
  return counter.load();
}

int count_safely() {
  const forkful::Value<int> counter(0);
  const forkful::Lock lock;
  std::vector<forkful::Process> processes;
  for (int i = 0; i < kProcesses; ++i) processes.emplace_back(safe_increment, counter, lock, 100);
  for (auto& process : processes) process.join();
  return counter.load();
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  std::cout << "Unsafe lost updates: " << (count_unsafely() < 400 ? "True" : "False")
            << " (expected 400)\n";
  std::cout << "Safe result: " << count_safely() << '\n';
}
