// The two functions of a received message that need the arena. Any thread of the member that
// received it; a message that dies with its member leaves a block, which whoever reaps the member
// frees.
#include <forkful/bytes/message.hpp>

#include "arena/heap.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {

void ByteMessage::reset() {
  const std::uint64_t block = std::exchange(block_, 0);
  // A fork copies this object, and its block stays the parent's: the child must not free it.
  if (block != 0 && owner_ == sync::self().bits) arena::free_run(block);
  size_ = 0;
}

void ByteMessage::take_block(std::uint64_t block, std::size_t size) {
  block_ = block;
  owner_ = sync::self().bits;
  data_ = arena::at(block, size);
  size_ = size;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
