// Waits for a process for a while, ends one that takes too long, and looks at exit codes.
// A struct with named members takes the place of Python's keyword arguments.

#include <chrono>
#include <cstdint>
#include <forkful/current_process.hpp>
#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <iostream>
#include <optional>
#include <string>
#include <thread>

using namespace std::chrono_literals;

struct Task {
  std::string name;
  std::int64_t iterations;
};

void worker(const Task& task) {
  std::cout << "Worker " << task.name << " starting (PID: " << forkful::current_process().pid << ")"
            << std::endl;
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < task.iterations; ++i) total += i * i;
  std::cout << "Worker " << task.name << " finished: " << total << std::endl;
}

void forever() {
  for (;;) std::this_thread::sleep_for(100ms);
}

// As Python writes them.
std::string text(bool value) { return value ? "True" : "False"; }
std::string text(std::optional<int> code) { return code ? std::to_string(*code) : "None"; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Process p({.daemon = true}, worker, Task{.name = "C", .iterations = 500'000});
  if (!p.join_for(5s)) {
    p.terminate();
    p.join();
  }
  std::cout << text(p.exit_code()) << '\n';

  forkful::Process stuck({.name = "stuck", .daemon = true}, forever);
  const bool ended = stuck.join_for(500ms);
  for (const auto& child : forkful::active_children()) {
    std::cout << child.name << ' ' << text(child.daemon) << ' ' << text(!ended) << ' '
              << text(stuck.exit_code()) << '\n';
  }
  if (!ended) {
    stuck.terminate();
    stuck.join();
  }
  std::cout << text(stuck.is_alive()) << ' ' << text(stuck.exit_code()) << '\n';
}
