// Tiny tasks in a pool of two workers, with automatic chunks and one by one; beside them oneTBB's
// threads, which need not send anything: the floor. OpenMPI's processes are in farm_mpi.cpp.

#include <algorithm>
#include <forkful/pool.hpp>
#include <vector>

#include "support.hpp"
#include "tiny.hpp"

#ifdef BENCH_HAS_TBB
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#endif

namespace {

using bench::Clock;

constexpr int kWorkers = 2;

double map_tasks(std::uint64_t count, std::size_t chunk_size) {
  forkful::Pool pool(kWorkers);
  const std::vector<int> items = bench::items(count);
  (void)pool.map(bench::tiny, bench::items(1000), {.chunk_size = chunk_size});
  const auto begin = Clock::now();
  const std::vector<int> results = pool.map(bench::tiny, items, {.chunk_size = chunk_size});
  const double seconds = bench::seconds_since(begin);
  bench::check_results(results, count);
  return seconds;
}

#ifdef BENCH_HAS_TBB
template <class Partitioner>
double tbb_tasks(std::uint64_t count, const Partitioner& partitioner) {
  const tbb::global_control two(tbb::global_control::max_allowed_parallelism, kWorkers);
  const std::vector<int> items = bench::items(count);
  const auto transform = [&](const std::vector<int>& from, std::vector<int>& into) {
    tbb::parallel_for(
        tbb::blocked_range<std::size_t>(0, from.size()),
        [&](const tbb::blocked_range<std::size_t>& range) {
          for (std::size_t i = range.begin(); i < range.end(); ++i) into[i] = bench::tiny(from[i]);
        },
        partitioner);
  };
  std::vector<int> some(std::min<std::size_t>(count, 1000));
  transform(some, some);
  const auto begin = Clock::now();
  std::vector<int> results(count);
  transform(items, results);
  const double seconds = bench::seconds_since(begin);
  bench::check_results(results, count);
  return seconds;
}
#endif

void add_all() {
  bench::add("Pool::map, automatic chunks/forkful", 4'000'000,
             [](auto count) { return map_tasks(count, 0); });
  bench::add("Pool::map, one by one/forkful", 2'000'000,
             [](auto count) { return map_tasks(count, 1); });
#ifdef BENCH_HAS_TBB
  bench::add("Pool::map, automatic chunks/oneTBB threads", 4'000'000,
             [](auto count) { return tbb_tasks(count, tbb::auto_partitioner()); });
  // Ranges of one item, none of them merged.
  bench::add("Pool::map, one by one/oneTBB threads", 2'000'000,
             [](auto count) { return tbb_tasks(count, tbb::simple_partitioner()); });
#endif
}

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, add_all); }
