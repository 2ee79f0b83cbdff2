// A process for each number.
// No join() is needed: the vector's end is the end of its processes, which are waited for.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <iostream>
#include <vector>

void square(int n) { std::cout << n << " squared is " << n * n << '\n'; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  std::vector<forkful::Process> processes;
  for (const int number : {1, 2, 3, 4}) processes.emplace_back(square, number);
}
