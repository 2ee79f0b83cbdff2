// Processes wait for a signal.

#include <chrono>
#include <forkful/event.hpp>
#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

void wait_for_signal(forkful::Event event, const std::string& name) {
  std::cout << name << " waiting..." << std::endl;
  event.wait();
  std::cout << name << " proceeding!" << std::endl;
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  const forkful::Event event;
  std::vector<forkful::Process> workers;
  for (int i = 0; i < 3; ++i) {
    workers.emplace_back(wait_for_signal, event, "Worker-" + std::to_string(i));
  }
  std::this_thread::sleep_for(std::chrono::seconds(2));
  event.set();  // releases all of them
}
