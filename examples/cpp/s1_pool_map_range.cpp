// map() takes any range, a view such as Python's range() too.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <ranges>

#include "list.hpp"

int square(int x) { return x * x; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Pool pool({.processes = 4});
  std::cout << list(pool.map(square, std::views::iota(0, 10))) << '\n';
}
