// A pool of four workers maps a function over numbers.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <vector>

#include "list.hpp"

int cube(int x) { return x * x * x; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Pool pool(4);
  std::cout << list(pool.map(cube, std::vector{1, 2, 3, 4, 5})) << '\n';
}
