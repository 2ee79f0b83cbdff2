#include <forkful/bytes/message.hpp>

#include "arena/heap.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {

void ByteMessage::reset() {
  if (block_ != 0) arena::free_run(std::exchange(block_, 0));
  size_ = 0;
}

void ByteMessage::take_block(std::uint64_t block, std::size_t size) {
  block_ = block;
  data_ = arena::at(block, size);
  size_ = size;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
