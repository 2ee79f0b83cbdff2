// CAUSE: writing variable 'count'
// REMEDY: requires holding mutex 'counter.mutex'
#include "base/mutex.hpp"

struct Counter {
  forkful::base::Mutex mutex;
  int count FORKFUL_GUARDED_BY(mutex) = 0;
};

void set(Counter& counter) {
  forkful::base::Guard lock(counter.mutex);
  lock.unlock();
  counter.count = 1;
}
