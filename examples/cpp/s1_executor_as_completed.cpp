// Results in the order in which they are done.
// as_completed() yields the caller's own Futures, so a Future's place in the vector says which one
// it is: there is no need for Python's dict.

#include <cstdint>
#include <forkful/as_completed.hpp>
#include <forkful/init.hpp>
#include <forkful/process_pool_executor.hpp>
#include <iomanip>
#include <iostream>
#include <vector>

constexpr std::uint64_t kBillion = 1'000'000'000;

// Two words, since the last sum needs 65 bits; Python's integers just grow.
struct Sum {
  std::uint64_t billions = 0;
  std::uint64_t rest = 0;
};

std::ostream& operator<<(std::ostream& to, const Sum& sum) {
  return to << sum.billions << std::setfill('0') << std::setw(9) << sum.rest;
}

Sum heavy_computation(std::uint64_t n) {
  Sum sum;
  for (std::uint64_t i = 0; i < n; ++i) {
    sum.rest += i * i;
    sum.billions += sum.rest / kBillion;
    sum.rest %= kBillion;
  }
  return sum;
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  const std::vector<std::uint64_t> numbers{1'000'000, 2'000'000, 3'000'000, 4'000'000};

  forkful::ProcessPoolExecutor executor(4);
  std::vector<forkful::Future<Sum>> futures;
  for (const auto n : numbers) futures.push_back(executor.submit(heavy_computation, n));

  for (forkful::Future<Sum>& future : forkful::as_completed(futures)) {
    const auto n = numbers.at(static_cast<std::size_t>(&future - futures.data()));
    std::cout << "Sum of squares to " << n << ": " << future.get() << '\n';
  }
}
