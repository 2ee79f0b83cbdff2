// A piece of zeroed shared memory, aligned to 64 bytes. (Unstable; see value.hpp.)
#pragma once

#include <cstddef>
#include <forkful/bytes/shared.hpp>
#include <span>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Nothing guards its bytes: use it with a lock, or with atomics.
class Cell : public Shared {
 public:
  Cell() = default;
  // Throws: OsError(ENOSPC).
  static Cell create(std::size_t size, const Label& label = {});
  static Cell adopt(Id id);

  [[nodiscard]] std::span<std::byte> memory() const;

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
