// The tiny task that every pool of the benchmarks runs, and its items.
#pragma once

#include <cstddef>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace bench {

// Why noinline: what is measured is the way to the task, and the compiler would merge the calls.
[[gnu::noinline]] inline int tiny(int item) { return item + 1; }

inline std::vector<int> items(std::size_t count) {
  std::vector<int> all(count);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

inline void check_results(const std::vector<int>& results, std::size_t count) {
  if (results.size() != count) throw std::runtime_error("results were lost");
  for (std::size_t i = 0; i < count; ++i) {
    if (results[i] != static_cast<int>(i) + 1) throw std::runtime_error("wrong results");
  }
}

}  // namespace bench
