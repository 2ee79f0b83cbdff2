// The smallest program with a pool.
// What `if __name__ == "__main__":` is to Python, init() is here: a worker runs main() as far as
// that line and no further, so whatever comes after it happens once.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <vector>

#include "list.hpp"

int factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  forkful::Pool pool(4);
  std::cout << list(pool.map(factorial, std::vector{5, 6, 7, 8})) << '\n';
}
