#include <forkful/bytes/cell.hpp>

#include "arena/shares.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

constexpr std::size_t kMemoryAt = base::kCacheLine;
static_assert(kMemoryAt >= sizeof(arena::ObjectHeader));

}  // namespace

Cell Cell::create(std::size_t size) {
  return Cell(
      arena::create_object(arena::Kind::cell, kMemoryAt + size, [](void*, std::byte*) {}, nullptr));
}

Cell Cell::adopt(Id id) { return Cell(arena::adopt_object(arena::Kind::cell, id, kMemoryAt)); }

std::span<std::byte> Cell::memory() const {
  // As it was found when this process took its share: any member may have written over it since.
  return {held_->address + kMemoryAt, held_->bytes - kMemoryAt};
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
