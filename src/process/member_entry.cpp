#include "process/member_entry.hpp"

#include "arena/members.hpp"

namespace forkful::process {

std::uint32_t flags_of(bool daemonic, bool pool_worker) {
  const std::uint32_t flags =
      (daemonic ? arena::kDaemonic : 0u) | (pool_worker ? arena::kPoolWorker : 0u);
  return flags != 0 ? flags : std::uint32_t{arena::kPlain};
}

}  // namespace forkful::process
