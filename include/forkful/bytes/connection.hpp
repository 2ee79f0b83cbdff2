// One end of a stream of messages. (Unstable; see connection.hpp for types.)
//
// On the wire a message is its length, four bytes in network order, and its bytes. From 2 GiB on it
// is -1 in four bytes and the length in eight. That is what Python's connections send, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <forkful/bytes/message.hpp>
#include <forkful/wait.hpp>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace bytes {

// The bytes of one received message. Memory that grows without being cleared first.
class ReceivedBytes {
 public:
  ReceivedBytes() = default;
  ReceivedBytes(ReceivedBytes&& other) noexcept { swap(other); }
  ReceivedBytes& operator=(ReceivedBytes&& other) noexcept {
    swap(other);
    return *this;
  }
  ~ReceivedBytes() { release(); }

  [[nodiscard]] Bytes bytes() const { return {data_, size_}; }
  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  void release() noexcept;

  // For the engine. Throws: std::bad_alloc; nothing has changed then.
  void reserve(std::size_t capacity);
  void set_size(std::size_t size) { size_ = size; }  // at most the capacity

 private:
  void swap(ReceivedBytes& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Threads:   any, beside each other; each message is sent whole, and received by one thread. But
//            close(), moving and destroying it belong to a thread that is alone with it.
// Ownership: movable. The descriptor closes with it.
// Death:     what a killed sender has sent whole is received, then EndOfFile; never half a message.
// Fork:      the child has the descriptor, too. Only one of the two processes should use it, since
//            both would send into one stream.
class RawConnection {
 public:
  RawConnection() noexcept;
  // Takes the descriptor: of a stream socket, or of a pipe.
  static RawConnection from_fd(int fd, bool readable = true, bool writable = true);
  // With `duplex` false the first can only receive, and the second only send. Throws: OsError.
  static std::pair<RawConnection, RawConnection> make_pipe(bool duplex = true);

  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&& other) noexcept;
  ~RawConnection();

  // Sends the parts as one message. The deadline is for its first byte: on timed_out nothing was
  // sent. After the first byte the call ends when the message is sent or the other end is gone, or
  // when `wait` is interrupted: then nothing can be sent any more, and the receiver of the half
  // message finds EndOfFile.
  // Throws: OsError(EPIPE) when the other end is gone; OsError(EBADF) when this one is closed;
  // Error when it can only receive.
  Waited send(std::span<const Bytes> parts, Wait& wait);

  // Receives the next message. On timed_out and interrupted nothing is lost, not even when part of
  // the message had come: the next call goes on from there. Memory is taken as bytes come, not as
  // the sender claims.
  // Throws: EndOfFile; Error for a length above `most_bytes` or one that cannot be, after which
  // nothing can be received any more; Error when it can only send; OsError.
  Waited receive(ReceivedBytes& into, Wait& wait,
                 std::uint64_t most_bytes = std::numeric_limits<std::uint64_t>::max());

  // Waits until there is something to receive; that may be the end.
  Waited poll(Wait& wait);

  // The other end receives what was sent, and then EndOfFile. Does nothing the second time.
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return state_ != nullptr; }
  [[nodiscard]] bool readable() const noexcept;
  [[nodiscard]] bool writable() const noexcept;
  // Whether this process made it, rather than inherited it by a fork.
  [[nodiscard]] bool is_ours() const noexcept;
  // Whether nothing is half-received or broken off, so that another process can go on with it.
  [[nodiscard]] bool is_between_messages() const noexcept;
  // For poll() and select(). Throws: OsError(EBADF) when it is closed.
  [[nodiscard]] int fileno() const;

 private:
  struct State;
  explicit RawConnection(std::unique_ptr<State> state) noexcept;
  [[nodiscard]] State& open_state(const char* call) const;

  std::unique_ptr<State> state_;  // none: closed
};

// The indices of those descriptors that have something to receive, once there is one; empty when
// `wait` ended first. Throws: OsError.
std::vector<std::size_t> wait_readable(std::span<const int> descriptors, Wait& wait);

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
