// A map whose function may be anything, because the workers are forked for it.
//
//   Matrix model = load();                       // captured by reference, and not copied
//   std::vector<double> scores =
//       forkful::fork_map([&](const Sample& s) { return score(model, s); }, samples);
#pragma once

#include <cstddef>
#include <cstdint>
#include <forkful/context.hpp>
#include <forkful/cpu_count.hpp>
#include <forkful/pool.hpp>
#include <functional>
#include <iterator>
#include <memory>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

struct ForkMapOptions {
  int processes = 0;           // 0: cpu_count(); never more than items
  std::size_t chunk_size = 0;  // items a task; 0: four tasks a worker
};

namespace detail {

// fork_map() over `count` items, of which `item(i)` gives one.
template <class F, class At>
auto fork_map_indexed(F& f, std::size_t count, ForkMapOptions options, const At& at) {
  const auto call = [&](std::size_t index) -> decltype(auto) { return std::invoke(f, at(index)); };
  // A worker has this frame at the same address, by inheritance.
  const auto inherited =
      [address = reinterpret_cast<std::uintptr_t>(&call)](std::size_t index) -> decltype(auto) {
    return (*reinterpret_cast<decltype(&call)>(address))(index);
  };
  using R = typename Invocation<std::remove_const_t<decltype(inherited)>,
                                std::tuple<std::size_t>>::result;
  if (count == 0) return map_results_t<R>();
  int processes = options.processes != 0 ? options.processes : static_cast<int>(cpu_count());
  if (std::cmp_greater(processes, count)) processes = static_cast<int>(count);
  Pool pool({.processes = processes, .context = Context::fork});
  return pool.map(inherited, std::views::iota(std::size_t{0}, count),
                  {.chunk_size = options.chunk_size});
}

}  // namespace detail

// f(item) for each item, in the order of the items, each in a process that was forked for this
// call; as Pool::map() otherwise. Neither f nor the items are encoded, so both may be of any type
// and refer to anything. The results must be codable. What f changes it changes in its worker only.
//
// Fork:   a worker has only the thread that called this, and every lock that another thread held
//         stays locked there: best used where there are no other threads.
// Death:  a worker that dies costs the item it was running; the others are done, and then this
//         throws WorkerDied.
// Throws: what f threw for the first item that failed; OsError, std::invalid_argument.
template <class F = detail::OverloadSet, class Range>
auto fork_map(F&& f, Range&& items, ForkMapOptions options = {}) {
  if constexpr (!detail::require_items<F, Range>()) {
    // The compiler says why.
  } else if constexpr (std::ranges::random_access_range<Range>) {
    const auto begin = std::ranges::begin(items);
    const auto count = static_cast<std::size_t>(std::ranges::distance(items));
    return detail::fork_map_indexed(f, count, options, [&](std::size_t index) -> decltype(auto) {
      return begin[static_cast<std::ranges::range_difference_t<Range>>(index)];
    });
  } else if constexpr (std::ranges::forward_range<Range>) {
    std::vector<std::ranges::iterator_t<Range>> places;
    for (auto at = std::ranges::begin(items); at != std::ranges::end(items); ++at) {
      places.push_back(at);
    }
    return detail::fork_map_indexed(
        f, places.size(), options,
        [&](std::size_t index) -> decltype(auto) { return *places[index]; });
  } else {
    std::vector<std::ranges::range_value_t<Range>> all;
    for (auto&& item : items) all.emplace_back(std::forward<decltype(item)>(item));
    return detail::fork_map_indexed(f, all.size(), options,
                                    [&](std::size_t index) -> auto& { return all[index]; });
  }
}

}  // namespace v0
}  // namespace forkful
