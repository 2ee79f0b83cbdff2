// Results one by one while the pool works on the rest; each item is a whole vector.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <numeric>
#include <vector>

int process_chunk(const std::vector<int>& data) {
  return std::accumulate(data.begin(), data.end(), 0);
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  std::vector<int> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), 0);
  const std::vector<std::vector<int>> large_data(100, numbers);

  forkful::Pool pool(4);
  for (const int result : pool.imap(process_chunk, large_data)) {
    std::cout << "Got result: " << result << '\n';
  }
}
