// One log for all processes, on descriptor 1 (log_to_stderr() would take 2).

#include <forkful/init.hpp>
#include <forkful/log.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "list.hpp"

int work(int n) {
  forkful::get_logger().info("working on " + std::to_string(n));
  return n + 1;
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  forkful::log_to(1, forkful::LogLevel::info);

  forkful::Pool pool(1);
  std::cout << list(pool.map(work, std::vector{1, 2, 3}, {.chunk_size = 1})) << std::endl;
  pool.close();
  pool.join();
}
