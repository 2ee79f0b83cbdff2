// Waiting for several futures at once.
//
//   auto [done, not_done] = forkful::wait(futures, {.timeout = 2s});
#pragma once

#include <chrono>
#include <cstddef>
#include <forkful/as_completed.hpp>
#include <forkful/detail/executor/awaited.hpp>
#include <ranges>
#include <unordered_map>
#include <vector>

namespace forkful {
inline namespace v0 {

enum class ReturnWhen {
  all_completed,
  first_completed,
  first_exception,  // or when all are done
};

struct WaitOptions {
  Duration timeout = Duration::endless();
  ReturnWhen return_when = ReturnWhen::all_completed;
};

// Indexes in the range, ascending.
struct WaitResult {
  std::vector<std::size_t> done;
  std::vector<std::size_t> not_done;
};

// Waits for the futures of a range, which may be of several pools. No results are handed out.
// Throws: Error, when one has no result to come.
template <detail::FutureRange Range>
WaitResult wait(Range& futures, WaitOptions options = {}) {
  const Deadline deadline = Deadline::in(options.timeout);
  detail::Awaited awaited;
  std::unordered_map<detail::Job*, std::size_t> indexes;
  for (auto& future : futures) {
    detail::Job* const job = detail::FutureAccess::job(future).get();
    indexes.emplace(job, indexes.size());
    awaited.add(detail::FutureAccess::client(future), *job);
  }
  std::vector<bool> done(indexes.size());
  std::size_t left = done.size();
  const auto note_next = [&](Deadline until) -> detail::Job* {
    detail::Job* const ended = awaited.next(until);
    if (ended == nullptr) return nullptr;
    done[indexes.at(ended)] = true;
    --left;
    return ended;
  };
  while (left > 0) {
    const detail::Job* const ended = note_next(deadline);
    if (ended == nullptr || options.return_when == ReturnWhen::first_completed ||
        (options.return_when == ReturnWhen::first_exception && ended->failed())) {
      break;
    }
  }
  // What else is done by now belongs to the answer, whatever was waited for.
  while (left > 0 && note_next(Deadline::poll()) != nullptr) {
  }
  WaitResult result;
  for (std::size_t i = 0; i < done.size(); ++i) {
    (done[i] ? result.done : result.not_done).push_back(i);
  }
  return result;
}

}  // namespace v0
}  // namespace forkful
