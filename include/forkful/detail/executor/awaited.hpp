// Jobs that are awaited together, of one client or of several.
#pragma once

#include <forkful/detail/executor/pool_client.hpp>
#include <memory>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace detail {

// Threads: one at a time.
class Awaited {
 public:
  void add(const std::shared_ptr<PoolClient>& client, Job& job);
  // The job that ended next; each comes once. Null: none did by the deadline.
  Job* next(Deadline deadline);

 private:
  std::shared_ptr<EndedJobs> ended_ = std::make_shared<EndedJobs>();
  std::vector<std::shared_ptr<PoolClient>> clients_;
  std::size_t turn_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
