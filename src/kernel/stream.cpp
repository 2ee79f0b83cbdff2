// Bytes through a socket or a pipe, without ever waiting in the call itself: Connection
// (channel/connection.cpp) waits in slices between them, so that a signal, a time-out or Python's
// interpreter is heard.
//
// The descriptor stays in blocking mode: O_NONBLOCK belongs to the open file, so it would change
// for the other processes that have it. A socket has a flag for each call instead; a pipe is asked
// by poll() before each step.
#include "kernel/stream.hpp"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>
#include <string>
#include <vector>

#include "kernel/clock.hpp"
#include "kernel/error.hpp"

namespace forkful::kernel {
namespace {

// A write to a pipe that nobody reads raises SIGPIPE, and no flag forbids it: the signal is blocked
// for the time of the write, and taken if the write brought it.
class NoSigpipe {
 public:
  NoSigpipe() {
    // One that waits already is the program's, and not for us to take.
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigpipe() {
    const int error = errno;  // the write's, which its caller reads
    const timespec at_once{};
    // Before the mask is as it was, or the signal would be delivered then.
    if (!was_pending_) {
      while (::sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

bool is_ready_now(int fd, bool to_send) {
  Watched watched{fd, to_send};
  return poll_descriptors({&watched, 1}, 0) == Polled::ready;
}

ssize_t send_to_socket(int fd, std::span<const std::span<const std::byte>> parts) {
  // Far below IOV_MAX (1,024) and enough for a header and what callers send; the rest goes in the
  // next step.
  constexpr std::size_t kMostParts = 64;
  iovec data[kMostParts];
  const std::size_t count = std::min(parts.size(), kMostParts);
  for (std::size_t i = 0; i < count; ++i) {
    data[i] = {const_cast<std::byte*>(parts[i].data()), parts[i].size()};
  }
  msghdr header{};
  header.msg_iov = data;
  header.msg_iovlen = count;
  return ::sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// A pipe that is ready takes PIPE_BUF bytes without waiting. Race: another process may fill it
// after the look; then this write waits in the kernel until there is room.
ssize_t send_to_pipe(int fd, std::span<const std::byte> part) {
  if (!is_ready_now(fd, true)) {
    errno = EAGAIN;
    return -1;
  }
  const NoSigpipe no_sigpipe;
  return ::write(fd, part.data(), std::min<std::size_t>(part.size(), PIPE_BUF));
}

// Race: another process that reads from the same pipe may take what was seen; this read then waits.
ssize_t receive_from(int fd, bool socket, std::span<std::byte> into) {
  if (socket) return ::recv(fd, into.data(), into.size(), MSG_DONTWAIT);
  if (is_ready_now(fd, false)) return ::read(fd, into.data(), into.size());
  errno = EAGAIN;
  return -1;
}

}  // namespace

bool is_socket(int fd) {
  struct stat about{};
  return ::fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

Moved send_some(int fd, bool socket, std::span<const std::span<const std::byte>> parts) {
  ssize_t sent = 0;
  do {
    sent = socket ? send_to_socket(fd, parts) : send_to_pipe(fd, parts.front());
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return {Flow::some, static_cast<std::size_t>(sent)};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Flow::would_wait};
  // Kernel: the other end is closed; reset, where it was closed with bytes unread.
  if (errno == EPIPE || errno == ECONNRESET) return {Flow::ended};
  throw_errno("send", "a message, by descriptor " + std::to_string(fd));
}

Moved receive_some(int fd, bool socket, std::span<std::byte> into) {
  ssize_t got = 0;
  do {
    got = receive_from(fd, socket, into);
  } while (got < 0 && errno == EINTR);
  if (got > 0) return {Flow::some, static_cast<std::size_t>(got)};
  // Kernel: reset, where the other end was closed before it had received all that we sent.
  if (got == 0 || errno == ECONNRESET) return {Flow::ended};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Flow::would_wait};
  throw_errno("receive", "a message, by descriptor " + std::to_string(fd));
}

void end_sending(int socket) { (void)::shutdown(socket, SHUT_WR); }

Polled poll_descriptors(std::span<Watched> watched, std::int64_t until_ns) {
  // One descriptor, the common case, needs no memory from the heap.
  std::vector<pollfd> many;
  pollfd one{};
  std::span<pollfd> looks(&one, 1);
  if (watched.size() != 1) {
    many.resize(watched.size());
    looks = many;
  }
  for (std::size_t i = 0; i < watched.size(); ++i) {
    looks[i] = {watched[i].fd, static_cast<short>(watched[i].to_send ? POLLOUT : POLLIN), 0};
  }
  timespec left{};
  timespec* limit = nullptr;  // no end
  if (until_ns != std::numeric_limits<std::int64_t>::max()) {
    const std::int64_t left_ns = until_ns > 0 ? until_ns - monotonic_ns() : 0;
    if (left_ns > 0) {
      left.tv_sec = left_ns / 1'000'000'000;
      left.tv_nsec = left_ns % 1'000'000'000;
    }
    limit = &left;
  }
  int count = 0;
  do {
    count = ::ppoll(looks.data(), looks.size(), limit, nullptr);
  } while (count < 0 && errno == EINTR && until_ns <= 0);  // a mere look is not disturbed
  // A sleep is ended by it, and the caller asks its `wait` whether the call is as well.
  if (count < 0 && errno == EINTR) return Polled::signalled;
  if (count < 0) throw_errno("ppoll", std::to_string(watched.size()) + " connections");
  for (std::size_t i = 0; i < watched.size(); ++i) {
    // ppoll() counts a closed descriptor as ready, which would make its user loop.
    if ((looks[i].revents & POLLNVAL) != 0) {
      throw_error(EBADF, "ppoll", "descriptor " + std::to_string(watched[i].fd));
    }
    // By whatever event, an end or an error among them: the caller's next step tells which.
    watched[i].ready = looks[i].revents != 0;
  }
  return count > 0 ? Polled::ready : Polled::timed_out;
}

}  // namespace forkful::kernel
