// Writing a message into a run of the heap, before it is queued. The run belongs to this member
// while it is written, so whoever reaps a member that was killed here frees it.
#include "message/block.hpp"

#include <vector>

#include "arena/cargo.hpp"
#include "arena/own_run.hpp"
#include "arena/shares.hpp"
#include "kernel/fault.hpp"
#include "kernel/memfd.hpp"

namespace forkful::message {

void hold_shares(Offset run, bytes::Shares shares, Offset but) {
  std::vector<Offset> objects = arena::objects_of(shares);
  std::erase(objects, but);
  arena::load_cargo(run, objects);
}

Offset write_block(std::span<const Bytes> parts, std::size_t size, bytes::Shares shares, Offset but,
                   sync::IfStuck if_stuck) {
  // Cold pages one fault at a time cost ten times as much as asked for together. From 256 KiB on: a
  // guess, below which the call itself counts.
  constexpr std::size_t kPopulateFrom = 256 << 10;
  // The end of a run with shares is for the entry of its cargo (arena/cargo.hpp).
  arena::OwnRun run(
      arena::allocate_run(shares.empty() ? size : size + arena::kRunEntryBytes, if_stuck));
  std::byte* to = arena::at(run.get(), size);
  // Before the bytes, so that no bytes in a run name what the run does not hold.
  if (!shares.empty()) hold_shares(run.get(), shares, but);
  if (size >= kPopulateFrom) kernel::populate(to, size);
  for (const Bytes part : parts) {
    FORKFUL_FAULT("message.writing");
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  FORKFUL_FAULT("message.written");
  return run.release();
}

}  // namespace forkful::message
