// Ten processes add one each.
// The compiler keeps you from forgetting the lock: a Value gives its number out by lock(), or as a
// copy.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/value.hpp>
#include <iostream>
#include <vector>

void increment(forkful::Value<int> counter) { *counter.lock() += 1; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  const forkful::Value<int> counter(0);
  std::vector<forkful::Process> processes;
  for (int i = 0; i < 10; ++i) processes.emplace_back(increment, counter);
  for (auto& process : processes) process.join();
  std::cout << counter.load() << '\n';
}
