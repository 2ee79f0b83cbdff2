// CAUSE: reading variable 'count'
// REMEDY: requires holding mutex 'counter.mutex'
#include "base/mutex.hpp"

struct Counter {
  forkful::base::Mutex mutex;
  int count FORKFUL_GUARDED_BY(mutex) = 0;
};

int read(Counter& counter) { return counter.count; }
