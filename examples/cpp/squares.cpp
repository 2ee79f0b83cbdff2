// A pool maps a function over numbers.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <ranges>

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Pool pool;  // as many workers as this process has CPUs
  for (const int square : pool.map([](int x) { return x * x; }, std::views::iota(0, 10))) {
    std::cout << square << ' ';
  }
  std::cout << '\n';
}
