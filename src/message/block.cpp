#include "message/block.hpp"

#include <vector>

#include "arena/cargo.hpp"
#include "kernel/fault.hpp"
#include "kernel/memfd.hpp"

namespace forkful::message {

void hold_shares(Offset run, bytes::Shares shares, Offset but) {
  std::vector<Offset> objects;
  objects.reserve(shares.size());
  for (const bytes::Shared& each : shares) {
    if (const Offset object = each.name().offset; object != but) objects.push_back(object);
  }
  arena::load_cargo(run, objects);
}

Offset write_block(std::span<const Bytes> parts, std::size_t size, bytes::Shares shares, Offset but,
                   sync::IfStuck if_stuck) {
  // Cold pages one fault at a time cost ten times as much as asked for together.
  constexpr std::size_t kPopulateFrom = 256 << 10;
  const Offset run =
      arena::allocate_run(shares.empty() ? size : size + arena::kRunEntryBytes, if_stuck);
  std::byte* to = nullptr;
  try {
    to = arena::at(run, size);
    if (!shares.empty()) hold_shares(run, shares, but);
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

void free_unless_stuck(Offset run) {
  try {
    const arena::ArenaJournal probe(sync::IfStuck::leave);
  } catch (const sync::StuckLock&) {
    return;
  }
  arena::free_run(run);
}

}  // namespace forkful::message
