// CAUSE: calling function 'add'
// REMEDY: requires holding mutex 'counter.mutex'
#include "base/mutex.hpp"

struct Counter {
  void add() FORKFUL_REQUIRES(mutex) { ++count; }
  forkful::base::Mutex mutex;
  int count FORKFUL_GUARDED_BY(mutex) = 0;
};

void use(Counter& counter) { counter.add(); }
