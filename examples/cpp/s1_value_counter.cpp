// Four processes count in one shared number.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/value.hpp>
#include <iostream>
#include <vector>

void increment_counter(forkful::Value<int> counter, int iterations) {
  for (int i = 0; i < iterations; ++i) {
    const auto guard = counter.lock();  // held to the end of the block
    *guard += 1;
  }
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  const forkful::Value<int> counter(0);
  std::vector<forkful::Process> processes;
  for (int i = 0; i < 4; ++i) processes.emplace_back(increment_counter, counter, 1000);
  for (auto& process : processes) process.join();
  std::cout << counter.load() << '\n';
}
