// Bytes through a descriptor that stays its owner's, one step at a time. (Unstable.)
//
// For a caller that frames messages: the Python package, whose connections are descriptors that the
// program may take, share and close. A step waits in the kernel, as the descriptor does.
#pragma once

#include <cstddef>
#include <span>

namespace forkful {
inline namespace v0 {
namespace bytes {

struct [[nodiscard]] Step {
  std::size_t bytes = 0;  // that were moved; of a read 0 is the end
  int error = 0;          // errno, where none were: EINTR for a signal
};

// Threads: any. Neither throws, and neither tries again after a signal.
Step read_step(int fd, std::span<std::byte> into) noexcept;
// The first part and then the second, which may be empty. Where nobody reads, SIGPIPE comes as the
// program has it: Python ignores it.
Step write_step(int fd, std::span<const std::byte> first,
                std::span<const std::byte> second) noexcept;

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
