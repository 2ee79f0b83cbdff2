// The start methods: what a child sees of a global variable that its parent has changed.

#include <forkful/context.hpp>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <iostream>

int changes = 0;

void report(forkful::Queue<int>& seen) { seen.put(changes); }

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  changes = 1;
  forkful::Queue<int> seen;
  {
    forkful::Process child({.context = forkful::Context::fork}, report, seen);
    std::cout << "fork: " << seen.get() << '\n';
  }
  {
    forkful::Process child({.context = forkful::Context::spawn}, report, seen);  // the default
    std::cout << "spawn: " << seen.get() << '\n';
  }
  {
    forkful::Process child({.context = forkful::Context::forkserver}, report, seen);
    std::cout << "forkserver: " << seen.get() << '\n';
  }
  forkful::Pool pool({.processes = 2, .context = forkful::Context::forkserver});
  std::cout << "a pool by forkserver: " << pool.apply([] { return changes; }) << '\n';
}
