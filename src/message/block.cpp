// Writing a message into a run of the heap, before it is queued. The run belongs to this member
// while it is written, so whoever reaps a member that was killed here frees it.
#include "message/block.hpp"

#include <vector>

#include "arena/cargo.hpp"
#include "arena/shares.hpp"
#include "kernel/fault.hpp"
#include "kernel/memfd.hpp"

namespace forkful::message {

void hold_shares(Offset run, bytes::Shares shares, Offset but, sync::IfStuck if_stuck) {
  std::vector<Offset> objects = arena::objects_of(shares);
  std::erase(objects, but);
  arena::load_cargo(run, objects, if_stuck);
}

void write_block(arena::OwnRun& run, std::span<const Bytes> parts, std::size_t size,
                 bytes::Shares shares, Offset but, sync::IfStuck if_stuck) {
  // Cold pages one fault at a time cost ten times as much as asked for together. From 256 KiB on: a
  // guess, below which the call itself counts.
  constexpr std::size_t kPopulateFrom = 256 << 10;
  if (!run) {
    // The end of a run with shares is for the entry of its cargo (arena/cargo.hpp).
    const std::uint64_t bytes = shares.empty() ? size : size + arena::kRunEntryBytes;
    run = arena::OwnRun(arena::allocate_run(bytes, if_stuck));
  }
  std::byte* to = arena::at(run.get(), size);
  // Before the bytes, so that no bytes in a run name what the run does not hold.
  if (!shares.empty()) hold_shares(run.get(), shares, but, if_stuck);
  if (size >= kPopulateFrom) kernel::populate(to, size);
  for (const Bytes part : parts) {
    FORKFUL_FAULT("message.writing");
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  FORKFUL_FAULT("message.written");
}

Offset write_block(std::span<const Bytes> parts, std::size_t size, bytes::Shares shares,
                   Offset but) {
  arena::OwnRun run;
  write_block(run, parts, size, shares, but, sync::IfStuck::wait);
  return run.release();
}

}  // namespace forkful::message
