#include <forkful/bytes/message.hpp>

#include "arena/heap.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {

void ByteMessage::reset() {
  const std::uint64_t block = std::exchange(block_, 0);
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
