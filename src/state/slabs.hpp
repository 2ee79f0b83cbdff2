// Memory of one container: cells of 32 to 4096 bytes, cut from chunks of the arena's heap.
//
// To take a cell costs one staged word under the container's own lock, where the heap costs the
// arena's lock. A cell that is given back is taken again for the same size. Chunks go back to the
// heap when the container is emptied or is taken apart.
//
// Requires: the lock of the container's journal. A function that takes a Journal stages; that may
// be the container's or the arena's, whichever commits the change.
#pragma once

#include <functional>

#include "arena/journal.hpp"

namespace forkful::state {

using arena::Journal;
using base::Offset;

inline constexpr std::uint64_t kLargestCell = 4096;
inline constexpr std::uint64_t kCellUnit = 16;  // cells begin at multiples of it
inline constexpr std::uint32_t kCellSizes = 24;

struct SlabWords {
  Offset bump;              // where the last chunk is free from
  Offset bump_end;          // and up to where
  Offset chunks;            // the last one; each begins with the one before it
  std::uint64_t taken;      // bytes of all chunks
  Offset free[kCellSizes];  // cells given back, by size
};

// Whether a cell can begin there. Any member may have written over what says so.
[[nodiscard]] constexpr bool can_be_cell(Offset at) {
  return at % kCellUnit == 0 && at != 0 && at < arena::kArenaBytes - kLargestCell;
}

// How large the cell is that holds `bytes`, which are at most kLargestCell.
[[nodiscard]] std::uint64_t cell_bytes(std::uint64_t bytes);

class Slabs {
 public:
  explicit Slabs(Offset words) : at_(words) {}

  // Before anything is staged: that cells of so many bytes in all can be taken.
  // Throws: OsError(ENOSPC); sync::StuckLock.
  void make_room(std::uint64_t bytes);
  // Stages the taking of a cell. All of it but its first word may be written at once; that word may
  // link the free cells until the commit, so it goes through the journal.
  [[nodiscard]] Offset take(Journal& journal, std::uint64_t bytes);
  // Stages that a cell which was taken for `bytes` is free.
  void give(Journal& journal, Offset cell, std::uint64_t bytes);
  // Stages that there is no cell and no chunk, but the memory from `bump` to `bump_end`.
  // 4 + kCellSizes words.
  void stage_empty(Journal& journal, Offset bump, Offset bump_end);

  // Stages the first chunk after that, as the heap's journal.
  void stage_chunk(Journal& heap);

  // Calls `look` with each cell that is free, and its bytes, and with what no cell was made of yet.
  void for_each_free(const std::function<void(Offset, std::uint64_t)>& look) const;

  [[nodiscard]] Offset last_chunk() const { return words().chunks; }

 private:
  void stage_chunk(Journal& heap, std::uint64_t bytes);
  [[nodiscard]] SlabWords& words() const { return arena::at<SlabWords>(at_); }
  [[nodiscard]] Offset free_list(std::uint32_t size) const {
    return at_ + offsetof(SlabWords, free) + size * sizeof(Offset);
  }
  Offset at_;
};

// What a chunk begins with.
struct Chunk {
  Offset before;
  std::uint64_t bytes;
};

}  // namespace forkful::state
