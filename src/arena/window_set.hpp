// Which windows of the arena are taken, and in which of these runs begin: two sets of bits in the
// header.
//
// A window is free, or holds runs side by side, or is one of those of a larger run, whose data goes
// on over the words at their beginnings. Only in the first window of such a run, and in one of many
// runs, can a run begin. The pages of a free window went back to the kernel, but for those of a
// window that was made free for a larger run, by a member that died before it took it.
#pragma once

#include "arena/runs.hpp"

namespace forkful::arena {

class WindowSet {
 public:
  // `words`: where its bits lie.
  explicit constexpr WindowSet(Offset words) : words_(words) {}
  [[nodiscard]] Offset word_of(std::uint64_t window) const {
    return words_ + window / 64 * sizeof(std::uint64_t);
  }
  [[nodiscard]] bool has(Journal& journal, std::uint64_t window) const {
    return (journal.get(word_of(window)) >> window % 64 & 1) != 0;
  }
  // Stages whether `count` windows from `first` on are in it.
  void stage(Journal& journal, std::uint64_t first, std::uint64_t count, bool are_in) const;

 private:
  Offset words_;
};
inline constexpr WindowSet kTaken(FORKFUL_HEADER_FIELD(windows_taken));
inline constexpr WindowSet kBegins(FORKFUL_HEADER_FIELD(windows_of_runs));

// Takes the first `count` windows side by side that are free, or hold nothing but one free run
// where there are several; returns the first of them. Where it was called with nothing staged, it
// commits in between. Throws: OsError(ENOSPC) where there are no such windows, and as grow_arena().
std::uint64_t take_windows(Journal& journal, std::uint64_t count);

}  // namespace forkful::arena
