// Bytes through a stream: a socket, a pipe, or whatever else has an end. Nothing here waits but
// poll_descriptors().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace forkful::kernel {

enum class Flow { some, would_wait, ended };
struct [[nodiscard]] Moved {
  Flow how;
  std::size_t bytes = 0;
};

[[nodiscard]] bool is_socket(int fd);

// Sends what there is room for of `parts`, which are not empty. `ended`: nobody can receive any
// more; no signal is raised then. Throws: OsError.
Moved send_some(int fd, bool socket, std::span<const std::span<const std::byte>> parts);

// Receives what is there. `ended`: nothing is left and nobody can send any more. Throws: OsError.
Moved receive_some(int fd, bool socket, std::span<std::byte> into);

// The other end of a socket receives what was sent, and then the end.
void end_sending(int socket);

struct Watched {
  int fd;
  bool to_send = false;  // else: to receive
  bool ready = false;    // out: there is something to receive, or room to send, or an end
};
enum class Polled { ready, timed_out, signalled };
// Waits until one of them is ready, at the latest until the monotonic time `until_ns`.
// Throws: OsError(EBADF) for a closed descriptor.
Polled poll_descriptors(std::span<Watched> watched, std::int64_t until_ns);

}  // namespace forkful::kernel
