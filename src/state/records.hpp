// An entry of a dict: its key, its value, and its neighbours in the order of insertion.
//
//   next | prev | key bytes, form bytes | how the value lies | key ... | form ... | value area
//
// The *form* is the key as it was first given, where the bytes that keys are compared by do not say
// it (1, 1.0 and True are one key). The value lies in the record (`inlined`), in a cell of the
// container's slabs, or in a run of the heap; of the last two the record has the offset. The value
// area has two words at least, so that each record can change between the three and keep its place.
//
// The key and the form never change; everything else changes by a journal's commit.
#pragma once

#include "arena/journal.hpp"
#include "base/bytes.hpp"

namespace forkful::state {

using base::Bytes;
using base::Offset;

enum class Lies : std::uint8_t { inlined, in_cell, in_run };

// How a value lies, as one word: {lies:8 << 56 | capacity of the area in words:8 << 48 | bytes:48}.
struct Place {
  Lies lies;
  std::uint8_t capacity;
  std::uint64_t bytes;

  static Place of(std::uint64_t word);
  [[nodiscard]] std::uint64_t word() const {
    return static_cast<std::uint64_t>(lies) << 56 | std::uint64_t{capacity} << 48 | bytes;
  }
};

inline constexpr std::uint64_t kMostInline = 48;
inline constexpr std::uint64_t kMostKey = 2048;  // the form included

struct Record {
  Offset next;
  Offset prev;
  std::uint32_t key_bytes;
  std::uint32_t form_bytes;
  std::uint64_t place;

  // Throws: Error, where another member has written over it.
  static Record& at(Offset record);

  [[nodiscard]] Bytes key() const { return {data(), key_bytes}; }
  // The key as it was given.
  [[nodiscard]] Bytes form() const {
    return form_bytes == 0 ? key() : Bytes{data() + padded(key_bytes), form_bytes};
  }
  // Where the value area begins, from the record's beginning.
  [[nodiscard]] std::uint64_t area() const {
    return sizeof(Record) + padded(key_bytes) + padded(form_bytes);
  }
  // Of the cell that the record is in, as it was asked for.
  [[nodiscard]] std::uint64_t bytes() const {
    return area() + Place::of(place).capacity * sizeof(std::uint64_t);
  }

  static std::uint64_t padded(std::uint64_t bytes) {
    return base::round_up(bytes, sizeof(std::uint64_t));
  }
  // What a record of such a key has room for, if its value has `value_bytes` now.
  static Place place_for(std::uint64_t key_bytes, std::uint64_t form_bytes,
                         std::uint64_t value_bytes);

 private:
  [[nodiscard]] const std::byte* data() const {
    return reinterpret_cast<const std::byte*>(this) + sizeof(Record);
  }
};
static_assert(sizeof(Record) == 32);

// Where the value of a record is, which lies in a cell or a run. Not checked: value_of() does.
[[nodiscard]] Offset where_of(const Record& record);
// The value of a record. Valid until the record changes. Throws: Error, as Record::at().
[[nodiscard]] Bytes value_of(const Record& record);

}  // namespace forkful::state
