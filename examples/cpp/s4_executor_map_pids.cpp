// An executor maps a function; the pids show who did what.

#include <forkful/current_process.hpp>
#include <forkful/init.hpp>
#include <forkful/process_pool_executor.hpp>
#include <iostream>
#include <ranges>
#include <string>

std::string waste_cpu(int x) {
  return "Input " + std::to_string(x) + " processed by PID " +
         std::to_string(forkful::current_process().pid);
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::ProcessPoolExecutor executor;  // as many workers as this process has CPUs
  for (const std::string& result : executor.map(waste_cpu, std::views::iota(0, 5))) {
    std::cout << result << '\n';
  }
}
