// Five workers sleep for a second each, side by side.

#include <chrono>
#include <cmath>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <thread>
#include <vector>

#include "list.hpp"

int compute_square(int n) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return n * n;
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  const std::vector<int> numbers{1, 2, 3, 4, 5};

  const auto start = std::chrono::steady_clock::now();
  forkful::Pool pool(5);
  const std::vector<int> results = pool.map(compute_square, numbers);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;

  std::cout << "Squares: " << list(results) << '\n';
  std::cout << "Time Taken: " << std::lround(time.count()) << " seconds\n";
}
