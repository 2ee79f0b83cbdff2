// From the options that users give to what the client is made with.
#include <forkful/detail/executor/pool_client.hpp>
#include <forkful/pool_options.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace forkful {
inline namespace v0 {

void Initializer::put_into(detail::PoolPlan& plan) && {
  plan.initializer = entry_;
  plan.initializer_payload = std::move(payload_);
  plan.carried = std::move(carried_);
}

namespace detail {

std::shared_ptr<PoolClient> make_client(PoolOptions options) {
  // A guess. The shared side has two slots for each (kMostWorkers in pool/task_pool.cpp).
  constexpr int kMost = 2048;
  if (options.processes < 0 || options.processes > kMost) {
    throw std::invalid_argument("a pool has 1 to 2048 processes (0: as many as CPUs), not " +
                                std::to_string(options.processes));
  }
  PoolPlan plan{.processes = static_cast<unsigned>(options.processes),
                .context = options.context,
                .max_tasks_per_child = options.max_tasks_per_child,
                .initializer = nullptr,
                .initializer_payload = {},
                .carried = {}};
  std::move(options.initializer).put_into(plan);
  return std::make_shared<PoolClient>(std::move(plan));
}

void refuse_progress(const MapOptions& options) {
  if (!options.progress) return;
  throw std::invalid_argument(
      "a map whose results come lazily tells no progress: count the results instead");
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
