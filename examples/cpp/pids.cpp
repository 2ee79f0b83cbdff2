// Who runs what: pids of workers, a worker that dies, and the pool that goes on.

#include <signal.h>
#include <unistd.h>

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Pool pool(2);
  std::cout << "this is process " << ::getpid() << ", its workers are";
  for (const int pid : pool.worker_pids()) std::cout << ' ' << pid;
  std::cout << '\n';

  auto doomed = pool.apply_async([] { ::kill(::getpid(), SIGKILL); });
  auto fine = pool.apply_async([] { return ::getpid(); });
  try {
    doomed.get();
  } catch (const forkful::WorkerDied& died) {
    std::cout << died.what() << '\n';
  }
  std::cout << "worker " << fine.get() << " had no part in that\n";
}
