#include "arena/own_run.hpp"

namespace forkful::arena {

void OwnRun::free_unless_stuck() {
  if (run_ == 0) return;
  try {
    const ArenaJournal probe(sync::IfStuck::leave);
  } catch (const sync::StuckLock&) {
    release();
    return;
  }
  free_run(release());
}

}  // namespace forkful::arena
