// Small blocks: 64 to 2048 bytes in powers of two, cut from runs of pages.
//
// The free ones of a size are a list, each with the offset of the next one in the word where an
// object has its `link`. Their pages stay the heap's: as many blocks as were once in use together.
#pragma once

#include <bit>
#include <cstddef>

#include "arena/journal.hpp"

namespace forkful::arena {

inline constexpr std::uint64_t kSmallestBlock = 64;  // a cache line, and room for an ObjectHeader
static_assert(sizeof(ObjectHeader) <= kSmallestBlock && kSmallestBlock == base::kCacheLine);
// What is larger than half a page gets a run of pages, which wastes no more of it than a block of
// the next power of two would.
inline constexpr std::uint64_t kLargestSmallBlock = kSmallestBlock << (kSmallBlockSizes - 1);
static_assert(kLargestSmallBlock == kPageBytes / 2);
// How much is cut into blocks at a time. A guess: 256 of the smallest, which a family with a few
// queues and locks never uses up, and eight of the largest, so that the run's cost is shared.
inline constexpr std::uint64_t kSmallBlocksRunBytes = 16384;
static_assert(kSmallBlocksRunBytes % kPageBytes == 0);

// Which of the sizes holds `bytes`.
constexpr unsigned small_block_class(std::uint64_t bytes) {
  constexpr int kSmallestBits = std::bit_width(kSmallestBlock - 1);
  return bytes <= kSmallestBlock ? 0
                                 : static_cast<unsigned>(std::bit_width(bytes - 1) - kSmallestBits);
}
constexpr std::uint64_t bytes_of_class(unsigned size_class) { return kSmallestBlock << size_class; }
static_assert(bytes_of_class(small_block_class(kLargestSmallBlock)) == kLargestSmallBlock);

inline Offset free_blocks_of(unsigned size_class) {
  return kHeaderAt + offsetof(Header, small_blocks) + size_class * sizeof(Offset);
}
inline Offset link_of(Offset block) { return block + offsetof(ObjectHeader, link); }

// Whether a block of a size may be there. For what another process wrote.
[[nodiscard]] bool can_be_small_block(Offset block, std::uint64_t block_bytes);

// Stages that a free block for `bytes` is in use, and returns it; 0 where there is none.
Offset stage_small_block(Journal& journal, std::uint64_t bytes);
// Stages that `run`, of kSmallBlocksRunBytes and not in use before the commit, is cut into blocks
// for `bytes`, and returns the first of them, which is in use.
Offset stage_cut(Journal& journal, Offset run, std::uint64_t bytes);
// Stages the release of what either gave for `bytes`. Throws Error where no block can be there.
void stage_small_block_freed(Journal& journal, Offset block, std::uint64_t bytes);

}  // namespace forkful::arena
