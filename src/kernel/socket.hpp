// Pairs of sockets between processes of one family, and descriptors sent through them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "kernel/fd.hpp"

namespace forkful::kernel {

struct SocketPair {
  Fd first;
  Fd second;
};

// Keeps messages apart, in order. Throws: OsError(EMFILE).
SocketPair make_message_sockets();
// A stream of bytes each way; with `duplex` false only from the second to the first.
// Throws: OsError(EMFILE).
SocketPair make_stream_sockets(bool duplex);

// Sends one message, with copies of `descriptors` (253 at most). False when the peer is gone.
// Throws: OsError.
[[nodiscard]] bool send_message(int socket, std::span<const std::byte> message,
                                std::span<const int> descriptors = {});

struct Received {
  std::size_t bytes = 0;
  std::vector<Fd> descriptors;
};
// Waits for the next message. nullopt when the peer is gone.
std::optional<Received> receive_message(int socket, std::span<std::byte> into);

}  // namespace forkful::kernel
