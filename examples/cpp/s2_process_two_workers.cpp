// Two processes add up squares, side by side.

#include <cstdint>
#include <forkful/current_process.hpp>
#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <iostream>
#include <string>

void worker(const std::string& name, std::int64_t iterations) {
  std::cout << "Worker " << name << " starting (PID: " << forkful::current_process().pid << ")\n";
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < iterations; ++i) total += i * i;
  std::cout << "Worker " << name << " finished: " << total << '\n';
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  std::cout << "Main process PID: " << forkful::current_process().pid << std::endl;
  {
    forkful::Process p1(worker, "A", 1'000'000);
    forkful::Process p2(worker, "B", 2'000'000);
  }  // both have ended here
  std::cout << "All workers completed\n";
}
