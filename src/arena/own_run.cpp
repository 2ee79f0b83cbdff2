// A run that a call has and may have to put down while the arena's lock is stuck.
#include "arena/own_run.hpp"

namespace forkful::arena {

void OwnRun::free_unless_stuck() {
  if (run_ == 0) return;
  // Only to see whether the lock is to be had. Race: it may be stuck again after that; free_run()
  // then waits.
  try {
    const ArenaJournal probe(sync::IfStuck::leave);
  } catch (const sync::StuckLock&) {
    release();
    return;
  }
  free_run(release());
}

}  // namespace forkful::arena
