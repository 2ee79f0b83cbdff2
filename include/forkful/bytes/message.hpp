// One message on its way: bytes in this object when there are few, else a block of the arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace bytes {

using Bytes = std::span<const std::byte>;

// Up to here a message travels inside a ring; a larger one in a block of its own, whose offset the
// ring carries: one copy in, none out.
inline constexpr std::size_t kInlineBytes = 4096;

// Ownership: a block that came with a message is freed with it (or by reset()).
// Fork:      a block stays the parent's; the child may read it while the parent has it.
// Death:     the block of a member that is killed is freed by whoever reaps it.
class ByteMessage {
 public:
  ByteMessage() {}  // leaves inline_ as it is: it is written before it is read
  ~ByteMessage() {
    if (block_ != 0) reset();
  }
  // Takes over what `other` has, which may only be reset or destroyed after that. The bytes may
  // have another address now.
  ByteMessage(ByteMessage&& other) noexcept
      : data_(other.data_),
        size_(other.size_),
        block_(other.release_block()),
        owner_(other.owner_) {
    if (data_ == other.inline_) copy(other.inline_, other.size_);
  }
  ByteMessage(const ByteMessage&) = delete;
  ByteMessage& operator=(const ByteMessage&) = delete;

  [[nodiscard]] Bytes bytes() const { return {data_, size_}; }
  [[nodiscard]] std::byte* data() { return data_; }
  void reset();

  // For the engine: a copy of at most kInlineBytes, or a block that belongs to this member.
  void copy(const std::byte* from, std::size_t size) {
    std::memcpy(inline_, from, size);
    data_ = inline_;
    size_ = size;
  }
  void take_block(std::uint64_t block, std::size_t size);
  [[nodiscard]] std::uint64_t release_block() { return std::exchange(block_, 0); }

 private:
  std::byte* data_ = inline_;
  std::size_t size_ = 0;
  std::uint64_t block_ = 0;
  std::uint32_t owner_ = 0;  // the member that took the block
  alignas(8) std::byte inline_[kInlineBytes];
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
