// Four processes say who they are.

#include <forkful/current_process.hpp>
#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <iostream>
#include <vector>

void worker(int name) {
  std::cout << "Worker " << name << ", PID: " << forkful::current_process().pid << '\n';
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  std::vector<forkful::Process> processes;
  for (int i = 0; i < 4; ++i) processes.emplace_back(worker, i);
  for (auto& process : processes) process.join();
}
