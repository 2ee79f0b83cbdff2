// Taking and releasing a lock that nobody else wants; beside it the mutex of pthreads that
// processes share and that notices a dead owner.

#include <pthread.h>

#include <forkful/lock.hpp>

#include "support.hpp"

namespace {

using bench::Clock;

double pairs(std::uint64_t count) {
  const forkful::Lock lock;
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    lock.lock();
    lock.unlock();
  }
  return bench::seconds_since(begin);
}

double robust_pairs(std::uint64_t count) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &kind);
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  return bench::seconds_since(begin);
}

void add_all() {
  bench::add("Lock: lock, unlock/forkful", 20'000'000, pairs);
  bench::add("Lock: lock, unlock/robust pthread mutex", 20'000'000, robust_pairs);
}

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, add_all); }
