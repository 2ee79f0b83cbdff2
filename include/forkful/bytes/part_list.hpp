// The parts of one message, in order, as they are put together from several places.
#pragma once

#include <forkful/bytes/message.hpp>
#include <stdexcept>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Why no array: clearing one takes as long as a fifth of sending a small message.
class PartList {
 public:
  // More than any message is put together from: a head, and the parts that a caller gives.
  static constexpr std::size_t kMost = 8;
  PartList() noexcept {}
  PartList(const PartList&) = delete;
  PartList& operator=(const PartList&) = delete;

  // Throws: std::length_error beyond kMost parts.
  void add(Bytes part) {
    if (count_ == kMost) throw std::length_error("a message has too many parts");
    parts_[count_++] = part;
  }
  [[nodiscard]] std::span<const Bytes> span() const { return {parts_, count_}; }

 private:
  std::size_t count_ = 0;
  union {
    Bytes parts_[kMost];  // of which the first count_ are written
  };
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
