// A process that greets.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <iostream>
#include <string>

void greet(const std::string& name) { std::cout << "hello, " << name << '\n'; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);  // first of all: the child runs main() up to here

  forkful::Process child(greet, "world");
  child.join();
  return child.exit_code().value();
}
