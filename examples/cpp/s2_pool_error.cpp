// An exception of a worker is thrown here; one of the standard library's keeps its type.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <stdexcept>
#include <vector>

int risky_function(int x) {
  if (x < 0) throw std::invalid_argument("Negative value");
  return x * 2;
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Pool pool;
  try {
    pool.map(risky_function, std::vector{1, 2, -3, 4});
  } catch (const std::invalid_argument& error) {
    std::cout << "Error in worker: " << error.what() << '\n';
  }
}
