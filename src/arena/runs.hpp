// Runs of pages, as the words of their pages tell: read with care, and the lists they are in.
//
// All runs of a window lie side by side. Each begins with its head and ends with a foot that leads
// back there, so that a run that is freed joins its free neighbours. Free runs are in the bin of
// their size, most recently freed first, because their pages are warm. A run that belongs to a
// member is in that member's list, so that giving back what a dead one had costs what it had. One
// that an object or a message refers to is in no list.
//
// Any member can write these words, so each is looked at before it is used: what cannot be throws
// Error ("damaged"), with nothing changed.
#pragma once

#include <cstddef>
#include <optional>

#include "arena/journal.hpp"

namespace forkful::arena {

// A field of the header, as an offset for the journal.
#define FORKFUL_HEADER_FIELD(name) (kHeaderAt + offsetof(Header, name))

// Runs of this many pages fit into a window. A larger one has windows of its own.
inline constexpr std::uint64_t kMostPagesInWindow = (kWindowBytes - kWindowDataAt) / kPageBytes;

// The owner of a run that an object or a message refers to.
inline constexpr std::uint32_t kFamilyOwned = 0xffffffff;
// The owner of one that nobody needs any more and that is still to be freed.
inline constexpr std::uint32_t kUnwanted = 0xfffffffe;

// Some pages of a run, counted from its beginning.
struct Pages {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  [[nodiscard]] std::uint64_t count() const { return end - begin; }
  // The part of these that [from, to) has, counted from there.
  [[nodiscard]] Pages within(std::uint64_t from, std::uint64_t to) const;
  // As counted from `pages` pages further up.
  [[nodiscard]] Pages moved(std::uint64_t pages) const;
  // All from the first of both to the last.
  [[nodiscard]] Pages joined(const Pages& other) const;
};

struct Run {
  Offset at = 0;
  std::uint64_t pages = 0;
  bool is_free = false;
  std::uint32_t owner = 0;  // of a run in use
  bool holds = false;       // likewise: its last word is an entry, see heap.hpp
  Pages warm{};             // of a free run: all others have been given back to the kernel

  [[nodiscard]] Offset end() const { return at + pages * kPageBytes; }
  [[nodiscard]] bool has_windows() const { return pages > kMostPagesInWindow; }
};

// --- words ---

inline Offset words_of(Offset page) {
  return page / kWindowBytes * kWindowBytes + page % kWindowBytes / kPageBytes * sizeof(PageWords);
}
inline Offset head_of(Offset run) { return words_of(run) + offsetof(PageWords, head); }
inline Offset next_of(Offset run) { return words_of(run) + offsetof(PageWords, next); }
inline Offset prev_of(Offset run) { return words_of(run) + offsetof(PageWords, prev); }
inline Offset foot_of(Offset last_page) { return words_of(last_page) + offsetof(PageWords, foot); }
inline Offset data_at(std::uint64_t window) {
  return window * kWindowBytes + (window == 0 ? kFirstWindowDataAt : kWindowDataAt);
}
// The windows of a run that has windows of its own.
inline std::uint64_t windows_for(std::uint64_t pages) {
  return (kWindowDataAt + pages * kPageBytes + kWindowBytes - 1) / kWindowBytes;
}

// Whether an offset can be a page that holds data.
inline bool can_be_page(Offset page) {
  return page % kPageBytes == 0 && page < kArenaBytes && page >= data_at(page / kWindowBytes);
}

// --- reading ---

// What begins at `at`, by its head; nullopt where nothing can.
std::optional<Run> read_head(Offset at, std::uint64_t head);
// The run that begins at `at`.
Run read_run(Journal& journal, Offset at);
// Likewise, where the foot has to agree as well: ahead of joining and splitting.
Run read_whole(Journal& journal, Offset at);
// The run that ends where `at` begins. Requires: `at` is not the first of its window.
Run read_before(Journal& journal, Offset at);

// --- lists ---

inline Offset bin_for(std::uint64_t pages) {
  return FORKFUL_HEADER_FIELD(bins) +
         static_cast<unsigned>(std::bit_width(pages) - 1) * sizeof(Offset);
}
inline Offset runs_of(MemberId member) {
  return kMembersAt + member.slot() * sizeof(Member) + offsetof(Member, runs);
}
void link(Journal& journal, Offset list, Offset run);
// Whether the neighbours of a free run in its bin know it.
[[nodiscard]] bool is_listed(Journal& journal, const Run& run);
// Throws Error where they do not.
void unlink(Journal& journal, Offset list, Offset run);

// --- writing ---

// Stages a run's owner, and its place in the owner's list.
void stage_owned(Journal& journal, const Run& run, std::uint32_t owner);
// Stages a run in use, likewise; it holds nothing.
void stage_used(Journal& journal, Offset at, std::uint64_t pages, std::uint32_t owner);
// Stages whether a run in use holds an object.
void stage_holding(Journal& journal, Offset at, bool holds);
// Stages a free run, and its place in its bin.
void stage_unused(Journal& journal, Offset at, std::uint64_t pages, const Pages& warm);
// Stages that a run leaves the list it is in, as its bin or its owner's.
void stage_unlisted(Journal& journal, const Run& run);

}  // namespace forkful::arena
