// A function of two arguments is mapped over pairs; a wrong type in one does not compile.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <utility>
#include <vector>

#include "list.hpp"

int multiply(int a, int b) { return a * b; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  const std::vector<std::pair<int, int>> pairs{{2, 3}, {4, 5}, {6, 7}};

  forkful::Pool pool(4);
  std::cout << list(pool.starmap(multiply, pairs)) << '\n';
}
