// What lies in a dict's object; DICT.md says who may write and read which word.
#pragma once

#include "arena/journal.hpp"
#include "state/slabs.hpp"

namespace forkful::state {

// The longest list is an insertion's: about 16 words.
inline constexpr std::uint32_t kDictJournal = 32;

struct DictWords {
  // Read by each look; changes when the index gets another directory.
  alignas(base::kCacheLine) std::uint64_t root;
  std::uint64_t reserved[7];
  alignas(base::kCacheLine) std::uint64_t count;
  Offset head;              // the oldest record
  Offset tail;              // the newest
  std::uint64_t serial;     // counts commits, and names new segments
  std::uint64_t structure;  // counts insertions and erasures
  std::uint64_t runs;       // values that are runs of the heap
  // What clear() has taken out and not given back yet.
  Offset retired_records;
  Offset retired_chunks;
  SlabWords slabs;
  arena::JournalWords<kDictJournal> journal;
};

// The object is as large as a small block of the heap can be; the rest of it is the first memory of
// the dict's slabs.
inline constexpr std::uint64_t kDictBytes = 2048;

}  // namespace forkful::state
