#include "message/block.hpp"

#include "kernel/fault.hpp"
#include "kernel/memfd.hpp"

namespace forkful::message {

Offset write_block(std::span<const Bytes> parts, std::size_t size) {
  // Cold pages one fault at a time cost ten times as much as asked for together.
  constexpr std::size_t kPopulateFrom = 256 << 10;
  const Offset run = arena::allocate_run(size);
  std::byte* to = nullptr;
  try {
    to = arena::at(run, size);
  } catch (...) {
    arena::free_run(run);
    throw;
  }
  if (size >= kPopulateFrom) kernel::populate(to, size);
  for (const Bytes part : parts) {
    FORKFUL_FAULT("message.writing");
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  FORKFUL_FAULT("message.written");
  return run;
}

}  // namespace forkful::message
