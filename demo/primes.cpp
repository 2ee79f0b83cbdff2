// Counts primes: in a loop, with threads, with processes.
//
// In C++ threads scale as well as processes do, for work like this. What processes add: one that
// crashes takes nothing with it but its own item.

#include <cstdint>
#include <cstdio>
#include <forkful/cpu_count.hpp>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <future>
#include <numeric>
#include <utility>
#include <vector>

#include "times.hpp"

namespace {

using Share = std::pair<std::uint32_t, std::uint32_t>;

constexpr std::uint32_t kLimit = 6'000'000;
constexpr std::uint32_t kShares = 32;

std::uint32_t count_primes(std::uint32_t begin, std::uint32_t end) {
  std::uint32_t count = 0;
  for (std::uint32_t number = begin < 2 ? 2 : begin; number < end; ++number) {
    std::uint32_t divisor = 2;
    while (divisor * divisor <= number && number % divisor != 0) ++divisor;
    count += divisor * divisor > number;
  }
  return count;
}

std::vector<std::uint32_t> in_a_loop(const std::vector<Share>& shares) {
  std::vector<std::uint32_t> counts;
  for (const auto& [begin, end] : shares) counts.push_back(count_primes(begin, end));
  return counts;
}

std::vector<std::uint32_t> with_threads(const std::vector<Share>& shares, unsigned workers) {
  std::vector<std::uint32_t> counts(shares.size());
  std::vector<std::future<void>> threads;
  for (unsigned worker = 0; worker < workers; ++worker) {
    threads.push_back(std::async(std::launch::async, [&, worker] {
      for (std::size_t i = worker; i < shares.size(); i += workers) {
        counts[i] = count_primes(shares[i].first, shares[i].second);
      }
    }));
  }
  for (auto& thread : threads) thread.get();
  return counts;
}

std::vector<std::uint32_t> with_processes(const std::vector<Share>& shares, int workers) {
  forkful::Pool pool(workers);
  return pool.starmap(count_primes, shares, {.chunk_size = 1});
}

}  // namespace

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  std::vector<Share> shares;
  for (std::uint32_t i = 0; i < kShares; ++i) {
    shares.emplace_back(kLimit / kShares * i, kLimit / kShares * (i + 1));
  }
  const unsigned workers = forkful::cpu_count();
  const std::string count = std::to_string(workers);
  std::printf("C++: primes below %u in %u shares, %u workers\n", kLimit, kShares, workers);
  const auto alone = timed("primes", "in a loop", [&] { return in_a_loop(shares); });
  const auto threaded =
      timed("primes", count + " threads", [&] { return with_threads(shares, workers); });
  const auto parallel = timed("primes", count + " processes",
                              [&] { return with_processes(shares, static_cast<int>(workers)); });
  if (threaded != alone || parallel != alone) {
    std::fprintf(stderr, "demo: the three ways counted differently\n");
    return 1;
  }
  std::printf("  %u primes, the same in all three; in C++ threads scale too\n",
              std::accumulate(alone.begin(), alone.end(), 0u));
}
