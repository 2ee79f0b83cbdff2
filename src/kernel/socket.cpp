// Sockets of one family: a server's messages with descriptors, and the streams under a Pipe.
//
// send_message() and receive_message() wait in the kernel. Their callers are the fork server and a
// starter that waits for its answer, and to both of them a peer that is gone is an answer and no
// error.
#include "kernel/socket.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "kernel/error.hpp"

namespace forkful::kernel {
namespace {

constexpr std::size_t kMostDescriptors = 253;  // Kernel: SCM_MAX_FD

// Room for the control message that carries descriptors.
struct alignas(cmsghdr) Control {
  std::byte bytes[CMSG_SPACE(kMostDescriptors * sizeof(int))];
};

bool is_peer_gone(int error) { return error == EPIPE || error == ECONNRESET || error == ENOTCONN; }

}  // namespace

SocketPair make_message_sockets() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw_errno("socketpair", "a server of forkful's");
  }
  return {Fd(ends[0]), Fd(ends[1])};
}

SocketPair make_stream_sockets(bool duplex) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw_errno("socketpair", "a pipe");
  }
  SocketPair pair{Fd(ends[0]), Fd(ends[1])};
  // Of one end is enough: the kernel tells the other.
  if (!duplex && ::shutdown(ends[0], SHUT_WR) != 0) throw_errno("shutdown", "a pipe");
  return pair;
}

bool send_message(int socket, std::span<const std::byte> message,
                  std::span<const int> descriptors) {
  if (descriptors.size() > kMostDescriptors) {
    throw_error(EINVAL, "send", "more than 253 descriptors at once");
  }
  iovec data{const_cast<std::byte*>(message.data()), message.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  Control control;
  if (!descriptors.empty()) {
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return true;
  if (is_peer_gone(errno)) return false;
  throw_errno("sendmsg", "a socket of the family's");
}

std::optional<Received> receive_message(int socket, std::span<std::byte> into) {
  iovec data{into.data(), into.size()};
  Control control;
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && !is_peer_gone(errno)) throw_errno("recvmsg", "a socket of the family's");
  // 0 is the end: no message of ours is empty.
  if (got <= 0) return std::nullopt;
  Received received{static_cast<std::size_t>(got), {}};
  for (cmsghdr* each = CMSG_FIRSTHDR(&header); each != nullptr; each = CMSG_NXTHDR(&header, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
    // The descriptors become ours at once, so that none is lost when a later one cannot be stored.
    const std::size_t count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      // Copied, because the control data need not be aligned for an int.
      std::memcpy(&fd, CMSG_DATA(each) + i * sizeof(int), sizeof fd);
      received.descriptors.emplace_back(fd);
    }
  }
  return received;
}

}  // namespace forkful::kernel
