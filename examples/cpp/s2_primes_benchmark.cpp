// Counts primes in a loop, with threads and with processes.
// Unlike Python's, threads of C++ scale as processes do; what processes add is that a crash of one
// costs no more than its own item.

#include <chrono>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <future>
#include <iomanip>
#include <iostream>
#include <string_view>
#include <vector>

constexpr int kIterations = 4;
constexpr int kLimit = 1'000'000;

int count_primes(int limit) {
  int primes = 0;
  for (int number = 2; number < limit; ++number) {
    int divisor = 2;
    while (divisor * divisor <= number && number % divisor != 0) ++divisor;
    primes += divisor * divisor > number;
  }
  return primes;
}

std::vector<int> in_a_loop() {
  std::vector<int> counts;
  for (int i = 0; i < kIterations; ++i) counts.push_back(count_primes(kLimit));
  return counts;
}

std::vector<int> with_threads() {
  std::vector<std::future<int>> threads;
  for (int i = 0; i < kIterations; ++i) {
    threads.push_back(std::async(std::launch::async, count_primes, kLimit));
  }
  std::vector<int> counts;
  for (auto& thread : threads) counts.push_back(thread.get());
  return counts;
}

std::vector<int> with_processes() {
  forkful::Pool pool;
  return pool.map(count_primes, std::vector(kIterations, kLimit));
}

std::vector<int> benchmark(std::string_view name, std::vector<int> (*count)()) {
  const auto start = std::chrono::steady_clock::now();
  auto counts = count();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::cout << name << ": " << std::fixed << std::setprecision(2) << time.count() << "s\n";
  return counts;
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  const auto expected = benchmark("Sequential", in_a_loop);
  const bool same = benchmark("Threading", with_threads) == expected &&
                    benchmark("Multiprocessing", with_processes) == expected;
  return same ? 0 : 1;
}
