// A queue of byte messages between the members of a family. (Unstable; see queue.hpp for types.)
#pragma once

#include <forkful/bytes/message.hpp>
#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Threads: any thread of any member may call anything.
// Death:   a sender killed in put() leaves no visible message; a receiver killed in get() leaves
//          the message in the queue, or takes it with it, never half of it.
class ByteQueue : public Shared {
 public:
  ByteQueue() = default;
  // `most_messages` bounds the queue; 0: it grows as memory allows. Throws: std::invalid_argument,
  // when it is more than 2^31 - 1, as a negative number is.
  static ByteQueue create(std::uint32_t most_messages = 0, const Label& label = {});
  static ByteQueue adopt(Id id);

  enum class [[nodiscard]] Put { sent, timed_out, interrupted, shut_down };
  enum class [[nodiscard]] Got { received, timed_out, interrupted, shut_down };

  // Sends the parts as one message; it is in the queue when put() returns. The message holds the
  // objects that its bytes name, `shares`, until it is received and done with: whoever reads it
  // adopts them before its ByteMessage ends. A queue does not hold itself through its messages, or
  // it would live for ever; whoever receives from it has it.
  // Throws: OsError(ENOSPC); nothing was sent then.
  Put put(std::span<const Bytes> parts, Wait& wait, Shares shares = {}) const;
  // Receives the oldest message. Got::shut_down only when the queue is empty.
  Got get(ByteMessage& into, Wait& wait) const;
  // Waits until there is a message, or the queue is shut down, and leaves it there: by the time the
  // caller asks, another one may have received it.
  Waited await_message(Wait& wait) const;

  // Wakes everybody; put() is refused from now on, get() empties the queue first. Waits for a
  // sender that is stopped in the middle; where that wait is interrupted, nothing has changed.
  Waited shut_down(Wait& wait) const;
  void shut_down() const;
  [[nodiscard]] bool is_shut_down() const;
  // Exact for the moment of the look.
  [[nodiscard]] std::uint32_t size() const;
  // How many messages were ever put, modulo 2^32. Counts a message from when it can be received.
  [[nodiscard]] std::uint32_t puts() const;
  [[nodiscard]] bool full() const;
  [[nodiscard]] std::uint32_t most_messages() const;

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
