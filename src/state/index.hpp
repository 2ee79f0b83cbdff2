// The index of a dict: an extendible hash table of segments that are 4 KiB at most.
//
//   root ──► directory of 2^depth entries ──► segment: version | counts | slots, probed one by one
//
// A slot is a record and 30 bits of its key's hash, the *tag*. The directory is addressed by the
// tag's first bits, and a segment that is full is rewritten, or split in two by one more bit of the
// tag. So no insertion moves more than one segment's slots, and no record is read for it. New
// segments are filled aside, and one commit puts them in the place of the old.
//
// Requires: the lock of the dict's journal.
#pragma once

#include <functional>

#include "state/slabs.hpp"

namespace forkful::state {

// {depth:8 << 56 | offset:56}: of the directory in the root, of a segment in the directory.
struct Branch {
  std::uint32_t depth;
  Offset at;

  static constexpr Branch of(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word >> 56), word & ((std::uint64_t{1} << 56) - 1)};
  }
  [[nodiscard]] constexpr std::uint64_t word() const { return std::uint64_t{depth} << 56 | at; }
};

// A directory of that depth fills the largest cell; a deeper one is a run of the heap.
inline constexpr std::uint32_t kLargestCellDepth = 9;
static_assert(sizeof(std::uint64_t) << kLargestCellDepth == kLargestCell);

class Index {
 public:
  // `root`: where the word is that names the directory; `serial`: the one that counts commits.
  Index(Offset root, Offset serial, Slabs& slabs) : root_(root), serial_(serial), slabs_(slabs) {}

  // A slot that was found, or where a new record of that hash goes.
  struct Place {
    Offset segment = 0;
    std::uint32_t slot = 0;
    Offset record = 0;  // 0: there is none of that key
  };
  [[nodiscard]] Place find(std::uint64_t hash, base::Bytes key) const;

  // Before an insertion, with nothing staged: has room in the segment of that hash. What find()
  // returned before does not hold any more if it returns true.
  // Throws: OsError(ENOSPC); sync::StuckLock.
  bool make_room(Journal& journal, std::uint64_t hash);

  // Around what changes in a place: a reader without the lock looks again, or waits.
  void stage_begin(Journal& journal, const Place& place) const;
  void stage_end(Journal& journal, const Place& place) const;
  void stage_insert(Journal& journal, const Place& place, std::uint64_t hash, Offset record) const;
  void stage_erase(Journal& journal, const Place& place) const;

  // The index of an empty dict, for a new object: fills memory at `at`, sets `root`, and returns
  // how many bytes it has taken.
  static std::uint64_t make_first(std::uint64_t& root, Offset at);
  // Stages the index of an empty dict; slabs that are empty have room for it.
  void stage_first(Journal& journal) const;

  // The directory where it is a run of the heap, else 0; and how many bytes it has.
  [[nodiscard]] Offset directory_run() const;
  [[nodiscard]] std::uint64_t directory_bytes() const;

  // Calls `look` for each record that a slot names, and `look_at_cell` with each cell of the slabs
  // that the index is made of, and its bytes. For checks.
  void for_each(const std::function<void(Offset)>& look,
                const std::function<void(Offset, std::uint64_t)>& look_at_cell) const;

 private:
  [[nodiscard]] Branch root() const;
  [[nodiscard]] Branch branch_of(std::uint64_t hash) const;
  void grow(Journal& journal, std::uint64_t hash);
  // Stages the next number, and returns the version that a new segment begins with: no segment has
  // had it, as each change of one moves the serial on by one, and its version by two.
  std::uint64_t stage_version(Journal& journal) const;

  Offset root_;
  Offset serial_;
  Slabs& slabs_;
};

}  // namespace forkful::state
