// What a pool is made with, and what its calls may be given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <forkful/context.hpp>
#include <forkful/initializer.hpp>
#include <forkful/wait.hpp>
#include <functional>
#include <memory>

namespace forkful {
inline namespace v0 {

namespace detail {
class PoolClient;
}

struct PoolOptions {
  int processes = 0;  // 0: cpu_count()
  Initializer initializer = {};
  // A worker is replaced by a fresh one after so many chunks of tasks; 0: never.
  std::uint32_t max_tasks_per_child = 0;
  Context context = Context::spawn;
  // Lets lambdas capture numbers that look like addresses; see BadCapture.
  bool allow_addresses = false;
};

struct MapOptions {
  std::size_t chunk_size =
      0;  // items a task; 0: four tasks a worker, and where results come lazily 1
  // Told how many items are done, each time that some have come, and at the end, before the call
  // returns or its Future is done. A callback as those of Future::then(); what it throws, the call
  // throws. Not where results come lazily: there the caller sees them come.
  std::function<void(std::size_t done, std::size_t total)> progress = {};
};

struct TaskOptions {
  // How long the call may take, from when a worker begins it, 0 or more. After that the worker is
  // killed and replaced, and the Future has TimeoutError; other calls are not affected.
  Duration timeout = Duration::endless();
};

namespace detail {

// Throws: NotInitialized, OsError, std::invalid_argument.
std::shared_ptr<PoolClient> make_client(PoolOptions options);
// Whether what a pool's lambdas capture is to be looked at.
inline bool checks_captures(const PoolOptions& options) {
  return options.context != Context::fork && !options.allow_addresses;
}
// Throws: std::invalid_argument, where progress was asked for.
void refuse_progress(const MapOptions& options);

}  // namespace detail
}  // namespace v0
}  // namespace forkful
