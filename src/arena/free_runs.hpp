// Free runs: found in the bins of their sizes, cut where only a part is needed, and joined with
// their free neighbours when a run is freed, so that no two free runs ever lie side by side.
//
// The bin of a run holds those of at least its power of two of pages and less than the next one,
// the most recently freed first, because its pages are warm: in memory, and maybe in the cache.
#pragma once

#include <optional>

#include "arena/runs.hpp"

namespace forkful::arena {

// A free run of at least `pages`, if there is one; it may miss one that is far down in its bin.
std::optional<Run> find_free(Journal& journal, std::uint64_t pages);

// Stages that the pages [from, from + pages) of a free run are in use; returns where they are.
Offset stage_carved(Journal& journal, const Run& whole, std::uint64_t from, std::uint64_t pages,
                    std::uint32_t owner);

// Stages that a run in use is free, and one with the free runs beside it. `warm`: its pages that
// may be in memory.
void stage_joined(Journal& journal, const Run& freed, const Pages& warm);

// Stages one free run in a window that was taken just now.
Run stage_new_window(Journal& journal, std::uint64_t window);

// The free run that this thread's last stage_joined() made, and which of its pages were freed
// then; `run` is 0 where there was none since this was asked last. Others may have taken it by
// now, or made it a part of a larger one.
struct Joined {
  Offset run = 0;
  Offset at = 0;
  std::uint64_t pages = 0;
};
Joined take_last_joined() noexcept;

// The last word of a run, where a run that holds an object names it.
inline Offset entry_of(const Run& run) { return run.end() - sizeof(Offset); }

}  // namespace forkful::arena
