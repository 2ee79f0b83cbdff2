// What follows a release: pages go back to the kernel, and what could not be freed at once is.
//
// Free pages stay in memory for the next message up to a bound; beyond it, those of the run that
// was freed last go back. The words of the heap say first that the run is this member's, so a
// member killed meanwhile leaves a run that whoever reaps it frees.
//
// Some releases cannot end in the commit that they belong to: a large run's windows are free only
// when its pages have gone back, and where the address space is limited, a neighbour's words cannot
// be mapped. Such a run is unwanted, in a list of its own, until tidy_heap() of any member frees
// it.
#pragma once

#include "arena/runs.hpp"

namespace forkful::arena {

// Stages that a run in use is unwanted.
void stage_unwanted(Journal& journal, const Run& run);

}  // namespace forkful::arena
