// Waits for a result, but not for ever.
// A time-out is no exception here, but an optional without a value. As in Python, the executor
// waits for the task all the same; submit({.timeout = 2s}, …) would end it.

#include <chrono>
#include <forkful/init.hpp>
#include <forkful/process_pool_executor.hpp>
#include <iostream>
#include <string>
#include <thread>

using namespace std::chrono_literals;

std::string slow_task(int seconds) {
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  return "Slept " + std::to_string(seconds) + "s";
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::ProcessPoolExecutor executor;
  auto future = executor.submit(slow_task, 10);
  if (const auto result = future.get_for(2s)) {
    std::cout << *result << '\n';
  } else {
    (void)future.cancel();  // false: it has begun
    std::cout << "Task timed out\n";
  }
}
