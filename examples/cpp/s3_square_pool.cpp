// A pool maps a lambda.
// Python's pools want functions with names; here a lambda can be sent if what it captures is plain
// data. One with a reference or a string in it does not compile, and the compiler says why.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <vector>

#include "list.hpp"

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  const std::vector<int> numbers{1, 2, 3, 4, 5};

  forkful::Pool pool;
  const auto results = pool.map([](int number) { return number * number; }, numbers);
  std::cout << "Squared numbers: " << list(results) << '\n';
}
