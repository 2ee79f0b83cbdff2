#include "arena/window_set.hpp"

#include <algorithm>
#include <cerrno>

#include "kernel/error.hpp"

namespace forkful::arena {
namespace {

// Whether the window holds one run, which is free. The first window is never given to a larger run,
// since it has the header and the members.
bool is_empty(Journal& journal, std::uint64_t window) {
  if (window == 0 || !kBegins.has(journal, window)) return false;
  const Run run = read_run(journal, data_at(window));
  return run.is_free && run.pages == kMostPagesInWindow;
}

// Frees a window that holds one free run, for the large run that takes it next. So its pages are
// not given back to the kernel, though they are not counted as warm any more.
void stage_window_freed(Journal& journal, std::uint64_t window) {
  const Run run = read_whole(journal, data_at(window));
  stage_unlisted(journal, run);
  journal.set(head_of(run.at), 0);
  stage_less(journal, FORKFUL_HEADER_FIELD(warm_pages), run.warm.count());
  kTaken.stage(journal, window, 1, false);
  kBegins.stage(journal, window, 1, false);
}

}  // namespace

void WindowSet::stage(Journal& journal, std::uint64_t first, std::uint64_t count,
                      bool are_in) const {
  // A word at a time: the bits of a thousand windows are 16 entries of the journal so.
  for (std::uint64_t window = first; window < first + count;) {
    std::uint64_t bits = journal.get(word_of(window));
    const Offset word = word_of(window);
    for (; window < first + count && word_of(window) == word; ++window) {
      const std::uint64_t bit = std::uint64_t{1} << window % 64;
      bits = are_in ? bits | bit : bits & ~bit;
    }
    journal.set(word, bits);
  }
}

std::uint64_t take_windows(Journal& journal, std::uint64_t count) {
  std::uint64_t first = 0;
  std::uint64_t have = 0;
  // The lowest ones that do, so that the file grows only where there are none within it.
  for (std::uint64_t window = 0; window < kWindows && have < count; ++window) {
    const bool usable = !kTaken.has(journal, window) || (count > 1 && is_empty(journal, window));
    if (!usable) have = 0;
    if (usable && have++ == 0) first = window;
  }
  if (have < count) kernel::throw_error(ENOSPC, "growth", "the arena beyond its 256 GiB");
  // Before anything is staged for it: where the file may not grow, nothing has changed.
  grow_arena((first + count) * kWindowBytes);
  for (std::uint64_t window = first; window < first + count; ++window) {
    if (!kTaken.has(journal, window)) continue;
    const bool alone = journal.staged() == 0;
    stage_window_freed(journal, window);
    // One by one, since the journal has no room for a thousand. A death in between leaves windows
    // that are free, with pages in memory that nothing counts.
    if (alone) journal.commit();
  }
  // A run begins in the first one only: its data goes on over the words of the others.
  kTaken.stage(journal, first, count, true);
  kBegins.stage(journal, first, 1, true);
  const Offset used = FORKFUL_HEADER_FIELD(windows_used);
  journal.set(used, std::max(journal.get(used), first + count));
  return first;
}

}  // namespace forkful::arena
