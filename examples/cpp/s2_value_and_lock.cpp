// A shared number, guarded by a lock of its own accord.
// Lock is what the standard calls Lockable, so std::lock_guard and std::unique_lock take it.

#include <forkful/init.hpp>
#include <forkful/lock.hpp>
#include <forkful/process.hpp>
#include <forkful/value.hpp>
#include <iostream>
#include <mutex>
#include <vector>

void increment_counter(forkful::Value<int> counter, forkful::Lock lock, int iterations) {
  for (int i = 0; i < iterations; ++i) {
    const std::lock_guard guard(lock);
    counter.store(counter.load() + 1);
  }
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  const forkful::Value<int> counter(0);
  const forkful::Lock lock;
  std::vector<forkful::Process> processes;
  for (int i = 0; i < 4; ++i) processes.emplace_back(increment_counter, counter, lock, 10'000);
  for (auto& process : processes) process.join();
  std::cout << "Final count: " << counter.load() << '\n';
}
