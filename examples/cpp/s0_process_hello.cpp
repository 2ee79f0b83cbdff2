// A process that greets.
// Unlike Python's, a Process starts at once, and its destructor would wait for it too.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <iostream>
#include <string>

void worker(const std::string& name) { std::cout << "Hello from process " << name << '\n'; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);  // first of all: the new process runs main() up to here

  forkful::Process p1(worker, "A");
  p1.join();
}
