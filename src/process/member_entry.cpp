#include "process/member_entry.hpp"

#include <cstring>

#include "arena/members.hpp"

namespace forkful::process {

std::uint32_t flags_of(bool daemonic, bool pool_worker) {
  const std::uint32_t flags =
      (daemonic ? arena::kDaemonic : 0u) | (pool_worker ? arena::kPoolWorker : 0u);
  return flags != 0 ? flags : std::uint32_t{arena::kPlain};
}

std::string name_in(const arena::Member& entry) {
  char name[sizeof entry.name];
  std::memcpy(name, entry.name, sizeof name);
  name[sizeof name - 1] = '\0';
  return name;
}

}  // namespace forkful::process
