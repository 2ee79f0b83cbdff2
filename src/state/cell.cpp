// A piece of shared memory as an object of the arena: what Value and Array are made of. The engine
// never looks into it, so there is nothing to repair after a death.
#include <forkful/bytes/cell.hpp>

#include "arena/shares.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

// The memory is aligned as its header promises, and shares no line with the object's own words.
constexpr std::size_t kMemoryAt = base::kCacheLine;
static_assert(kMemoryAt >= sizeof(arena::ObjectHeader));

}  // namespace

// New objects read as zero; so there is nothing to fill.
Cell Cell::create(std::size_t size, const Label& label) {
  return Cell(arena::create_object(
      arena::Kind::cell, label, kMemoryAt + size, [](void*, std::byte*) {}, nullptr));
}

Cell Cell::adopt(Id id) { return Cell(arena::adopt_object(arena::Kind::cell, id, kMemoryAt)); }

std::span<std::byte> Cell::memory() const {
  // As it was found when this process took its share: any member may have written over it since.
  return {held_->address + kMemoryAt, held_->bytes - kMemoryAt};
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
