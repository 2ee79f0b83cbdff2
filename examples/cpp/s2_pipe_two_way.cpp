// Two processes talk through a pipe.
// A Connection belongs to one process, so it is moved into the child; recv() is told the type that
// the other end sends.

#include <forkful/init.hpp>
#include <forkful/pipe.hpp>
#include <forkful/process.hpp>
#include <iostream>
#include <string>
#include <utility>

void worker_process(forkful::Connection connection) {
  connection.send("Hello from worker");
  std::cout << "Worker received: " << connection.recv<std::string>() << '\n';
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  auto [parent_end, child_end] = forkful::Pipe();
  forkful::Process child(worker_process, std::move(child_end));
  std::cout << "Parent received: " << parent_end.recv<std::string>() << std::endl;
  parent_end.send("Hello from parent");
  child.join();
}
