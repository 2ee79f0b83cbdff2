// Runs of pages, as the words of their pages tell: read with care, and the lists they are in.
//
// All runs of a window lie side by side. Each begins with its head and ends with a foot that leads
// back there, so that a run that is freed joins its free neighbours. Free runs are in the bin of
// their size, most recently freed first, because their pages are warm. A run that belongs to a
// member is at its hand, one of a few words, or in its list when these are taken; so giving back
// what a dead one had costs what it had. One that an object or a message refers to is in no list.
//
// Why words at hand: each message comes into a member's hands twice, and with them that costs the
// journal one entry each time instead of four.
//
// Any member can write these words, so each is looked at before it is used: what cannot be throws
// Error ("damaged"), with nothing changed.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

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
// The owner of one that is spare: see spare_runs.hpp.
inline constexpr std::uint32_t kSpare = 0xfffffffd;

// Some pages of a run, counted from its beginning.
struct Pages {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  [[nodiscard]] std::uint64_t count() const { return end - begin; }
  // The part of these that [from, to) has, counted from there.
  [[nodiscard]] Pages within(std::uint64_t from, std::uint64_t to) const {
    const std::uint64_t first = std::clamp(begin, from, to);
    const std::uint64_t last = std::clamp(end, from, to);
    return first == last ? Pages{} : Pages{first - from, last - from};
  }
  // As counted from `pages` pages further up.
  [[nodiscard]] Pages moved(std::uint64_t pages) const {
    return count() == 0 ? Pages{} : Pages{begin + pages, end + pages};
  }
  // All from the first of both to the last.
  [[nodiscard]] Pages joined(const Pages& other) const {
    if (count() == 0) return other;
    if (other.count() == 0) return *this;
    return {std::min(begin, other.begin), std::max(end, other.end)};
  }
};

struct Run {
  Offset at = 0;
  std::uint64_t pages = 0;
  bool is_free = false;
  std::uint32_t owner = 0;  // of a run in use
  bool holds = false;       // likewise: its last word is an entry, see heap.hpp
  bool listed = false;      // likewise: it is not at its owner's hand, but in its list
  Pages warm{};             // of a free run: all others have been given back to the kernel

  [[nodiscard]] Offset end() const { return at + pages * kPageBytes; }
  [[nodiscard]] bool has_windows() const { return pages > kMostPagesInWindow; }
  // Whether somebody has it.
  [[nodiscard]] bool is_in_use() const {
    return pages != 0 && !is_free && owner != kUnwanted && owner != kSpare;
  }
  // A free run of its pages [from, to).
  [[nodiscard]] Run part(std::uint64_t from, std::uint64_t to) const {
    return {.at = at + from * kPageBytes,
            .pages = to - from,
            .is_free = true,
            .warm = warm.within(from, to)};
  }
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
//
// Inline, since each message on its way reads some ten heads.

// The head of a run:
//
//   bits 0-25    its pages, at least 1; 0: no run begins here
//   bits 26-57   in use: its owner; free: which pages are warm, {end:16, begin:16}
//   bit 61       in use: it is in its owner's list
//   bit 62       in use: its last word is an entry
//   bit 63       free
inline constexpr unsigned kPageBits = 26;
inline constexpr std::uint64_t kPagesMask = (std::uint64_t{1} << kPageBits) - 1;
inline constexpr std::uint64_t kListed = std::uint64_t{1} << 61;
inline constexpr std::uint64_t kHolds = std::uint64_t{1} << 62;
inline constexpr std::uint64_t kFree = std::uint64_t{1} << 63;
static_assert(kWindows * kPagesPerWindow - 1 <= kPagesMask);
static_assert(kMostPagesInWindow <= 0xffff, "of these, two counts are in 32 bits");

inline bool is_members(std::uint32_t owner) { return owner < kSpare; }

// The head of a run in use.
constexpr std::uint64_t head_of_used(const Run& run, std::uint32_t owner, bool listed) {
  return (run.holds ? kHolds : 0) | (listed ? kListed : 0) | run.pages |
         std::uint64_t{owner} << kPageBits;
}

// What begins at `at`, by its head; no pages where nothing can.
inline Run read_head(Offset at, std::uint64_t head) {
  Run run{.at = at, .pages = head & kPagesMask, .is_free = (head & kFree) != 0};
  const auto detail = static_cast<std::uint32_t>(head >> kPageBits);
  bool is_right = run.pages != 0;
  if (run.is_free) {
    run.warm = {detail & 0xffff, detail >> 16};
    is_right &= run.warm.begin <= run.warm.end && run.warm.end <= run.pages;
  } else {
    run.owner = detail;
    run.holds = (head & kHolds) != 0;
    run.listed = (head & kListed) != 0;
    is_right &= run.owner != 0 && (!run.listed || is_members(run.owner));
  }
  const Offset in_window = at % kWindowBytes;
  if (in_window + run.pages * kPageBytes > kWindowBytes) {
    const std::uint64_t window = at / kWindowBytes;
    is_right &= run.has_windows() && !run.is_free && at == data_at(window) &&
                window + windows_for(run.pages) <= kWindows;
  }
  if (__builtin_expect(!is_right || !can_be_page(at), 0)) run.pages = 0;
  return run;
}
// The run that begins at `at`.
inline Run read_run(Journal& journal, Offset at) {
  if (__builtin_expect(!can_be_page(at), 0)) damaged();
  const Run run = read_head(at, journal.get(head_of(at)));
  if (__builtin_expect(run.pages == 0, 0)) damaged();
  return run;
}
// Throws Error where a run's foot does not lead to it: ahead of joining and splitting.
inline void require_foot(Journal& journal, const Run& run) {
  if (run.has_windows()) return;
  if (__builtin_expect(journal.get(foot_of(run.end() - kPageBytes)) != run.at, 0)) damaged();
}
inline Run read_whole(Journal& journal, Offset at) {
  const Run run = read_run(journal, at);
  require_foot(journal, run);
  return run;
}
// The run that ends where `at` begins. Requires: `at` is not the first of its window.
inline Run read_before(Journal& journal, Offset at) {
  const Run run = read_run(journal, journal.get(foot_of(at - kPageBytes)));
  if (__builtin_expect(run.end() != at, 0)) damaged();
  return run;
}

// --- lists ---

inline Offset bin_for(std::uint64_t pages) {
  return FORKFUL_HEADER_FIELD(bins) +
         static_cast<unsigned>(std::bit_width(pages) - 1) * sizeof(Offset);
}
inline Offset runs_of(MemberId member) {
  return kMembersAt + member.index() * sizeof(Member) + offsetof(Member, runs);
}
inline Offset at_hand_of(MemberId member, std::uint32_t index) {
  return kMembersAt + member.index() * sizeof(Member) + offsetof(Member, at_hand) +
         index * sizeof(Offset);
}
void link(Journal& journal, Offset list, Offset run);
// Whether the neighbours of a free run in its bin know it.
[[nodiscard]] bool is_listed(Journal& journal, const Run& run);
// Throws Error where they do not.
void unlink(Journal& journal, Offset list, Offset run);

// --- writing ---

// For words that often say `value` already: then the journal is spared an entry.
inline void stage_if_new(Journal& journal, Offset where, std::uint64_t value) {
  if (journal.get(where) != value) journal.set(where, value);
}
inline void stage_more(Journal& journal, Offset counter, std::uint64_t count) {
  journal.set(counter, journal.get(counter) + count);
}
inline void stage_less(Journal& journal, Offset counter, std::uint64_t count) {
  journal.set(counter, journal.get(counter) - count);
}

// Stages a run's owner, and its place at the owner's hand or in its list.
void stage_owned(Journal& journal, const Run& run, std::uint32_t owner);
// Stages a run in use, likewise; it holds nothing.
void stage_used(Journal& journal, Offset at, std::uint64_t pages, std::uint32_t owner);
// Stages whether a run in use holds an object.
void stage_holding(Journal& journal, Offset at, bool holds);
// Stages a free run, and its place at the head of its bin.
void stage_unused(Journal& journal, const Run& run);
// Stages that a free run has grown or shrunk, at either end, and is at the head of its bin. Mostly
// it was so before, and then this costs the fewest entries.
void stage_became(Journal& journal, const Run& was, const Run& now);
// Stages that a run leaves where it is entered: its bin, or its owner's hand or list.
void stage_unlisted(Journal& journal, const Run& run);

}  // namespace forkful::arena
