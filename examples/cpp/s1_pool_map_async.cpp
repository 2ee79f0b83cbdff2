// Does other work while a pool maps.

#include <chrono>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <ranges>
#include <thread>

#include "list.hpp"

using namespace std::chrono_literals;

int slow_square(int x) {
  std::this_thread::sleep_for(500ms);
  return x * x;
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Pool pool(4);
  auto result = pool.map_async(slow_square, std::views::iota(0, 8));
  std::cout << "Doing other work..." << std::endl;
  std::cout << list(result.get_for(10s).value()) << '\n';  // an optional: empty if it took longer
}
