// A segment of a dict's index: slots that are probed one by one.
#pragma once

#include <array>
#include <cstdint>

#include "base/ids.hpp"
#include "state/slabs.hpp"

namespace forkful::state {

// A slot has so many bits of a hash, the first ones, and then the record by units of a cell.
inline constexpr std::uint32_t kTagBits = 30;
inline constexpr std::uint32_t kRecordBits = 34;
inline constexpr std::uint64_t kRecordMask = (std::uint64_t{1} << kRecordBits) - 1;
inline constexpr std::uint64_t kTombstone = 1;  // of a slot's record: none is there

inline std::uint64_t tag_of(std::uint64_t hash) { return hash >> kRecordBits; }
inline std::uint64_t slot_word(std::uint64_t tag, Offset record) {
  return tag << kRecordBits | record / kCellUnit;
}
inline Offset record_in(std::uint64_t slot) { return (slot & kRecordMask) * kCellUnit; }
inline bool is_record(std::uint64_t slot) { return (slot & kRecordMask) > kTombstone; }

// {alive:20 << 40 | used:20 << 20 | slots:20}; a slot in use is alive or a tombstone.
struct Counts {
  std::uint32_t slots;
  std::uint32_t used;
  std::uint32_t alive;

  static Counts of(std::uint64_t word) {
    constexpr std::uint64_t kMask = (1 << 20) - 1;
    return {static_cast<std::uint32_t>(word & kMask),
            static_cast<std::uint32_t>(word >> 20 & kMask),
            static_cast<std::uint32_t>(word >> 40 & kMask)};
  }
  [[nodiscard]] std::uint64_t word() const {
    return std::uint64_t{alive} << 40 | std::uint64_t{used} << 20 | slots;
  }
};

struct Segment {
  std::uint64_t version;  // odd: it changes, or has been given back
  std::uint64_t counts;
  std::uint64_t slots[];
};
// Each size fills a cell of the slabs.
inline constexpr std::array<std::uint32_t, 4> kSlots = {8, 38, 158, 510};
constexpr std::uint64_t segment_bytes(std::uint32_t slots) {
  return sizeof(Segment) + std::uint64_t{slots} * sizeof(std::uint64_t);
}

// The entry that a tag has in a directory of that depth.
inline std::uint64_t entry_of(std::uint64_t tag, std::uint32_t depth) {
  return depth == 0 ? 0 : tag >> (kTagBits - depth);
}

// Where the probing of a tag begins. Within a segment the tag's first bits are alike, so all bits
// are mixed first.
inline std::uint32_t home_of(std::uint64_t tag, std::uint32_t slots) {
  constexpr std::uint32_t kGoldenRatio = 0x9e3779b1;
  const auto mixed = static_cast<std::uint32_t>(tag) * kGoldenRatio;
  return static_cast<std::uint32_t>(std::uint64_t{mixed} * slots >> 32);
}

inline std::uint32_t after(std::uint32_t slot, std::uint32_t slots) {
  return slot + 1 == slots ? 0 : slot + 1;
}

}  // namespace forkful::state
