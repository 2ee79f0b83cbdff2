// Messages that prove whole: a sender's number, a sequence number, and bytes derived from both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <forkful/bytes/queue.hpp>
#include <optional>
#include <span>
#include <vector>

namespace forkful::test {

struct Stamp {
  std::uint32_t sender;
  std::uint32_t number;
  std::uint64_t size;
};

inline std::byte filler(const Stamp& stamp, std::size_t index) {
  return static_cast<std::byte>(stamp.sender * 31 + stamp.number * 7 + index * 13);
}

// At least a stamp; the rest is filler.
inline std::vector<std::byte> make_message(std::uint32_t sender, std::uint32_t number,
                                           std::size_t size) {
  if (size < sizeof(Stamp)) size = sizeof(Stamp);
  const Stamp stamp{sender, number, size};
  std::vector<std::byte> message(size);
  std::memcpy(message.data(), &stamp, sizeof stamp);
  for (std::size_t i = sizeof stamp; i < size; ++i) message[i] = filler(stamp, i);
  return message;
}

// The stamp of a whole message; nothing for one that is not.
inline std::optional<Stamp> read_message(std::span<const std::byte> message) {
  Stamp stamp{};
  if (message.size() < sizeof stamp) return {};
  std::memcpy(&stamp, message.data(), sizeof stamp);
  if (stamp.size != message.size()) return {};
  for (std::size_t i = sizeof stamp; i < message.size(); ++i) {
    if (message[i] != filler(stamp, i)) return {};
  }
  return stamp;
}

inline bytes::ByteQueue::Put put(const bytes::ByteQueue& queue, std::span<const std::byte> message,
                                 Deadline until = Deadline::never()) {
  Wait wait(until);
  return queue.put(std::span(&message, 1), wait);
}

inline bytes::ByteQueue::Got get(const bytes::ByteQueue& queue, bytes::ByteMessage& into,
                                 Deadline until = Deadline::never()) {
  Wait wait(until);
  return queue.get(into, wait);
}

// The stamp of the next message; nothing when there is none, or it is not whole.
inline std::optional<Stamp> try_get(const bytes::ByteQueue& queue) {
  bytes::ByteMessage message;
  if (get(queue, message, Deadline::poll()) != bytes::ByteQueue::Got::received) return {};
  return read_message(message.bytes());
}

}  // namespace forkful::test
