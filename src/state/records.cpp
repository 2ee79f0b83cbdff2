// Entries of a dict as they lie in memory; records.hpp has the picture.
#include "state/records.hpp"

#include <algorithm>

#include "arena/heap.hpp"
#include "state/slabs.hpp"

namespace forkful::state {

Place Place::of(std::uint64_t word) {
  return {static_cast<Lies>(word >> 56), static_cast<std::uint8_t>(word >> 48),
          word & ((std::uint64_t{1} << 48) - 1)};
}

// Any member may have written over it, and a wrong size would lead out of the mapping.
Record& Record::at(Offset record) {
  if (!can_be_cell(record)) arena::damaged();
  auto& found = arena::at<Record>(record);
  const bool too_large = std::uint64_t{found.key_bytes} + found.form_bytes > kMostKey;
  if (too_large || found.bytes() > kLargestCell) arena::damaged();
  return found;
}

// The whole cell is used: what its size is rounded up by is room for a longer value.
Place Record::place_for(std::uint64_t key_bytes, std::uint64_t form_bytes,
                        std::uint64_t value_bytes) {
  constexpr std::uint64_t kWord = sizeof(std::uint64_t);
  constexpr std::uint64_t kLeast = 2;
  constexpr std::uint64_t kMost = kMostInline / kWord;
  const std::uint64_t head = sizeof(Record) + padded(key_bytes) + padded(form_bytes);
  const std::uint64_t words =
      value_bytes > kMostInline ? kLeast : std::max(kLeast, padded(value_bytes) / kWord);
  const std::uint64_t room = (cell_bytes(head + words * kWord) - head) / kWord;
  return {Lies::inlined, static_cast<std::uint8_t>(std::min(room, kMost)), value_bytes};
}

Offset where_of(const Record& record) {
  const auto* area = reinterpret_cast<const std::byte*>(&record) + record.area();
  return *reinterpret_cast<const Offset*>(area);
}

Bytes value_of(const Record& record) {
  const Place place = Place::of(record.place);
  const auto* area = reinterpret_cast<const std::byte*>(&record) + record.area();
  if (place.lies == Lies::inlined) {
    if (place.bytes > place.capacity * sizeof(std::uint64_t)) arena::damaged();
    return {area, place.bytes};
  }
  const Offset where = where_of(record);
  const bool is_cell =
      place.lies == Lies::in_cell && place.bytes <= kLargestCell && can_be_cell(where);
  if (!is_cell && !(place.lies == Lies::in_run && arena::is_run(where, place.bytes))) {
    arena::damaged();
  }
  return {arena::at(where, place.bytes), place.bytes};
}

}  // namespace forkful::state
