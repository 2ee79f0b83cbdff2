// Two connected ends, for two processes.
//
//   auto [a, b] = forkful::Pipe();
//   forkful::Process child(serve, std::move(b));
#pragma once

#include <forkful/bytes/connection.hpp>
#include <forkful/connection.hpp>
#include <utility>

namespace forkful {
inline namespace v0 {

struct PipeOptions {
  // False: the first end can only receive, and the second only send.
  bool duplex = true;
};

// Throws: OsError(EMFILE).
[[nodiscard]] inline std::pair<Connection, Connection> Pipe(const PipeOptions& options = {}) {
  auto [first, second] = bytes::RawConnection::make_pipe(options.duplex);
  return {Connection(std::move(first)), Connection(std::move(second))};
}

}  // namespace v0
}  // namespace forkful
