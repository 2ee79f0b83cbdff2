#include "kernel/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "kernel/error.hpp"

namespace forkful::kernel {

void Fd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

PipeEnds make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe2", "a pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

void write_once(int fd, std::string_view text) {
  // Why unused: a log has nobody to complain to.
  [[maybe_unused]] const auto written = ::write(fd, text.data(), text.size());
}

void keep_on_exec(int fd) {
  if (::fcntl(fd, F_SETFD, 0) != 0)
    throw_errno("fcntl(F_SETFD)", "descriptor " + std::to_string(fd));
}

void close_on_exec(int fd) {
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    throw_errno("fcntl(F_SETFD)", "descriptor " + std::to_string(fd));
  }
}

}  // namespace forkful::kernel
