#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <forkful/bytes/descriptor.hpp>

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

Step done(ssize_t moved) noexcept {
  if (moved < 0) return {0, errno};
  return {static_cast<std::size_t>(moved), 0};
}

iovec part(std::span<const std::byte> bytes) noexcept {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

}  // namespace

Step read_step(int fd, std::span<std::byte> into) noexcept {
  return done(::read(fd, into.data(), into.size()));
}

Step write_step(int fd, std::span<const std::byte> first,
                std::span<const std::byte> second) noexcept {
  // Kernel: into a pipe that takes them whole, at most PIPE_BUF bytes go in one piece.
  const iovec parts[] = {part(first), part(second)};
  return done(::writev(fd, parts, 2));
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
