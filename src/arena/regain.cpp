// Where to find the family's files again. Nothing is waited for, and a member that dies meanwhile
// is one that has no descriptors.
#include "arena/regain.hpp"

#include <cstddef>

#include "arena/members.hpp"
#include "kernel/process_info.hpp"
#include "kernel/reopen.hpp"

namespace forkful::arena {
namespace {

// Any member that has begun may have it; one that has ended has no descriptors.
kernel::Fd open_as_in_members(const kernel::FileId& file) {
  const int own = kernel::current_pid();
  for (std::uint32_t index = 1; index < entries_used(); ++index) {
    const Member& entry = at<Member>(kMembersAt + index * sizeof(Member));
    const std::uint64_t state = entry.state.load(std::memory_order_acquire);
    if (state_in(state) == MemberState::free) continue;
    const int pid = pid_seen_here(MemberId::of(index, generation_in(state)));
    if (pid == 0 || pid == own) continue;
    if (kernel::Fd found = kernel::open_as_in(pid, file)) return found;
  }
  return {};
}

}  // namespace

int regain(kernel::KeptFd& kept) {
  if (const int fd = kept.get(); fd >= 0) return fd;
  const kernel::FileId file = kept.file();
  if (!file) return -1;
  kernel::Fd found = kernel::open_mapped(file);
  if (!found) found = open_as_in_members(file);
  // Kernel: the numbers of files without a path come round after 2^32 of them.
  const bool is_other =
      file == arena_file() &&
      kernel::word_in(found.get(), kHeaderAt + offsetof(Header, family_id)) != header().family_id;
  if (found && !is_other) kept.restore(std::move(found));
  return kept.get();
}

}  // namespace forkful::arena
