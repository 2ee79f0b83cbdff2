// Pools of as many workers as there are CPUs, and of four.

#include <chrono>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <ranges>
#include <thread>
#include <utility>
#include <vector>

#include "list.hpp"

int process_item(int item) {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  return item * item;
}

int power(int base, int exponent) { return exponent == 0 ? 1 : base * power(base, exponent - 1); }

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  {
    forkful::Pool pool;
    std::cout << "Results: " << list(pool.map(process_item, std::views::iota(0, 20))) << '\n';
  }  // the end of the block is the end of the pool, as that of Python's `with`
  {
    forkful::Pool pool({.processes = 4});
    const std::vector<std::pair<int, int>> pairs{{2, 3}, {4, 5}, {6, 7}};
    std::cout << "Powers: " << list(pool.starmap(power, pairs)) << '\n';
  }
}
