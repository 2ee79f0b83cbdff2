#include "arena/runs.hpp"

#include <algorithm>
#include <bit>

namespace forkful::arena {
namespace {

// The head of a run:
//
//   bits 0-25    its pages, at least 1; 0: no run begins here
//   bits 26-57   in use: its owner; free: which pages are warm, {end:16, begin:16}
//   bit 62       in use: its last word is an entry
//   bit 63       free
constexpr unsigned kPageBits = 26;
constexpr std::uint64_t kPagesMask = (std::uint64_t{1} << kPageBits) - 1;
constexpr std::uint64_t kHolds = std::uint64_t{1} << 62;
constexpr std::uint64_t kFree = std::uint64_t{1} << 63;
static_assert(kWindows * kPagesPerWindow - 1 <= kPagesMask);
static_assert(kMostPagesInWindow <= 0xffff, "of these, two counts are in 32 bits");

constexpr std::uint64_t head_of_used(const Run& run, std::uint32_t owner) {
  return (run.holds ? kHolds : 0) | run.pages | std::uint64_t{owner} << kPageBits;
}
constexpr std::uint64_t head_of_free(std::uint64_t pages, const Pages& warm) {
  return kFree | pages | (warm.end << 16 | warm.begin) << kPageBits;
}

bool is_members(std::uint32_t owner) { return owner != kFamilyOwned && owner != kUnwanted; }

}  // namespace

Pages Pages::within(std::uint64_t from, std::uint64_t to) const {
  const std::uint64_t first = std::clamp(begin, from, to);
  const std::uint64_t last = std::clamp(end, from, to);
  return first == last ? Pages{} : Pages{first - from, last - from};
}

Pages Pages::moved(std::uint64_t pages) const {
  return count() == 0 ? Pages{} : Pages{begin + pages, end + pages};
}

Pages Pages::joined(const Pages& other) const {
  if (count() == 0) return other;
  if (other.count() == 0) return *this;
  return {std::min(begin, other.begin), std::max(end, other.end)};
}

std::optional<Run> read_head(Offset at, std::uint64_t head) {
  if (!can_be_page(at)) return std::nullopt;
  Run run{.at = at, .pages = head & kPagesMask, .is_free = (head & kFree) != 0};
  const auto detail = static_cast<std::uint32_t>(head >> kPageBits);
  if (run.is_free) {
    run.warm = {detail & 0xffff, detail >> 16};
    if (run.has_windows() || run.warm.begin > run.warm.end || run.warm.end > run.pages) {
      return std::nullopt;
    }
  } else {
    run.owner = detail;
    run.holds = (head & kHolds) != 0;
    if (run.owner == 0) return std::nullopt;
  }
  const std::uint64_t window = at / kWindowBytes;
  const bool fits = run.has_windows()
                        ? at == data_at(window) && window + windows_for(run.pages) <= kWindows
                        : run.end() <= (window + 1) * kWindowBytes;
  if (run.pages == 0 || !fits) return std::nullopt;
  return run;
}

Run read_run(Journal& journal, Offset at) {
  const auto run = can_be_page(at) ? read_head(at, journal.get(head_of(at))) : std::nullopt;
  if (!run) damaged();
  return *run;
}

Run read_whole(Journal& journal, Offset at) {
  const Run run = read_run(journal, at);
  if (!run.has_windows() && journal.get(foot_of(run.end() - kPageBytes)) != at) damaged();
  return run;
}

Run read_before(Journal& journal, Offset at) {
  const Run run = read_run(journal, journal.get(foot_of(at - kPageBytes)));
  if (run.end() != at) damaged();
  return run;
}

void link(Journal& journal, Offset list, Offset run) {
  const Offset first = journal.get(list);
  if (first != 0 && !can_be_page(first)) damaged();
  journal.set(next_of(run), first);
  journal.set(prev_of(run), 0);
  if (first != 0) journal.set(prev_of(first), run);
  journal.set(list, run);
}

bool is_listed(Journal& journal, const Run& run) {
  const Offset prev = journal.get(prev_of(run.at));
  if (prev != 0 && !can_be_page(prev)) return false;
  return journal.get(prev != 0 ? next_of(prev) : bin_for(run.pages)) == run.at;
}

void unlink(Journal& journal, Offset list, Offset run) {
  const Offset next = journal.get(next_of(run));
  const Offset prev = journal.get(prev_of(run));
  if ((next != 0 && !can_be_page(next)) || (prev != 0 && !can_be_page(prev))) damaged();
  const Offset from = prev != 0 ? next_of(prev) : list;
  if (journal.get(from) != run) damaged();
  journal.set(from, next);
  if (next == 0) return;
  if (journal.get(prev_of(next)) != run) damaged();
  journal.set(prev_of(next), prev);
}

void stage_owned(Journal& journal, const Run& run, std::uint32_t owner) {
  journal.set(head_of(run.at), head_of_used(run, owner));
  if (is_members(owner)) link(journal, runs_of({owner}), run.at);
}

void stage_used(Journal& journal, Offset at, std::uint64_t pages, std::uint32_t owner) {
  const Run run{.at = at, .pages = pages, .owner = owner};
  stage_owned(journal, run, owner);
  if (!run.has_windows()) journal.set(foot_of(run.end() - kPageBytes), at);
}

void stage_holding(Journal& journal, Offset at, bool holds) {
  const std::uint64_t head = journal.get(head_of(at));
  journal.set(head_of(at), holds ? head | kHolds : head & ~kHolds);
}

void stage_unused(Journal& journal, Offset at, std::uint64_t pages, const Pages& warm) {
  journal.set(head_of(at), head_of_free(pages, warm));
  journal.set(foot_of(at + (pages - 1) * kPageBytes), at);
  link(journal, bin_for(pages), at);
}

void stage_unlisted(Journal& journal, const Run& run) {
  if (run.is_free) {
    unlink(journal, bin_for(run.pages), run.at);
  } else if (is_members(run.owner)) {
    unlink(journal, runs_of({run.owner}), run.at);
  }
}

}  // namespace forkful::arena
