// Strong ids: who (a member) and where (an offset in the arena).
#pragma once

#include <cstdint>

namespace forkful::base {

// A member of the family, as lock words name it: 15 bits of entry, 16 of the entry's
// generation. Entry 0 is nobody's, so 0 is no member. Bit 31 is free for a lock word's own use (see
// sync/owner_word.hpp).
struct MemberId {
  std::uint32_t bits = 0;

  static constexpr MemberId of(std::uint32_t index, std::uint32_t generation) {
    return {(index << 16) | (generation & 0xffffu)};
  }
  [[nodiscard]] constexpr std::uint32_t index() const { return (bits >> 16) & 0x7fffu; }
  [[nodiscard]] constexpr std::uint32_t generation() const { return bits & 0xffffu; }
  constexpr explicit operator bool() const { return bits != 0; }
  friend constexpr bool operator==(MemberId, MemberId) = default;
};

// A place in the arena, the same number in every member. 0 is nowhere.
using Offset = std::uint64_t;

}  // namespace forkful::base
