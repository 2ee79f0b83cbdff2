// The result of a process comes through a queue.
// Copies of a Queue share its items, so it is passed by value.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <iostream>
#include <string>

void worker(forkful::Queue<std::string> queue) { queue.put("Result from Process"); }

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  const forkful::Queue<std::string> queue;
  forkful::Process process(worker, queue);
  std::cout << queue.get() << '\n';
  process.join();
}
