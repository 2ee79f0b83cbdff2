// The framing of connections: lengths, and how the bytes come in pieces.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <forkful/bytes/connection.hpp>
#include <forkful/errors.hpp>

#include "base/check.hpp"
#include "fuzzers.hpp"

namespace forkful::fuzz::connection {
namespace {

using bytes::RawConnection;
using bytes::ReceivedBytes;

constexpr std::uint64_t kMostMessage = 1 << 16;

// Receives until there is nothing more; every message is at most as long as was sent.
bool receive_all(RawConnection& from, std::uint64_t most_bytes, std::size_t sent) {
  ReceivedBytes message;
  try {
    for (;;) {
      Wait wait(Deadline::poll());
      if (from.receive(message, wait, most_bytes) != Waited::done) return true;
      FORKFUL_CHECK(message.size() <= sent && message.size() <= most_bytes);
    }
  } catch (const std::exception&) {
    return false;
  }
}

void send(int socket, Bytes bytes) {
  // It has room for an input in its buffer.
  if (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) std::abort();
}

}  // namespace

void read(Bytes input) {
  Choices from(input);
  const std::uint64_t most_bytes = from.pick(2) == 1 ? kMostMessage : ~std::uint64_t{0};
  const std::size_t piece = 1 + std::size_t{from.pick(256)};
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  RawConnection receiver = RawConnection::from_fd(ends[0]);
  // A few pieces, and the rest as one.
  constexpr int kPieces = 8;
  bool goes_on = true;
  for (int i = 0; i < kPieces && from.any() && goes_on; ++i) {
    send(ends[1], from.take(piece));
    goes_on = receive_all(receiver, most_bytes, input.size());
  }
  if (from.any() && goes_on) send(ends[1], from.rest());
  ::close(ends[1]);
  FORKFUL_CHECK(!receive_all(receiver, most_bytes, input.size()));
}

std::vector<Input> seeds() {
  auto ends = RawConnection::make_pipe(true);
  const std::array<std::byte, 300> text{};
  Wait wait;
  for (const std::size_t size : {0, 1, 5, 300}) {
    const Bytes part = std::span(text).first(size);
    (void)ends.first.send({&part, 1}, wait);
  }
  Input input{std::byte{1}, std::byte{6}};
  const std::size_t choices = input.size();
  input.resize(choices + 1024);
  const ssize_t got = ::read(ends.second.fileno(), input.data() + choices, 1024);
  if (got < 0) std::abort();
  input.resize(choices + static_cast<std::size_t>(got));
  Input at_once = input;
  at_once[0] = std::byte{0};
  at_once[1] = std::byte{255};
  // As a message from 2 GiB on begins.
  Input long_one{std::byte{0}, std::byte{12}};
  for (const int each : {255, 255, 255, 255, 0, 0, 0, 0, 128, 0, 0, 0, 1, 2, 3}) {
    long_one.push_back(static_cast<std::byte>(each));
  }
  return {input, at_once, long_one};
}

}  // namespace forkful::fuzz::connection
