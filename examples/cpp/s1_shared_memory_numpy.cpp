// Two processes work on one array of doubles in shared memory.
// as<double>() is a span over it, so no NumPy is needed to see numbers in bytes; the destructors
// do what close() and unlink() do in Python.

#include <algorithm>
#include <array>
#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/shared_memory.hpp>
#include <iomanip>
#include <iostream>
#include <string>

void worker(const std::string& name) {
  const forkful::SharedMemory shm(name);
  for (double& each : shm.as<double>()) each *= 2;
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  constexpr std::array data{1.0, 2.0, 3.0, 4.0};

  const forkful::SharedMemory shm(forkful::create, sizeof data);
  const auto numbers = shm.as<double>();
  std::ranges::copy(data, numbers.begin());
  forkful::Process(worker, shm.name()).join();

  std::cout << std::showpoint << std::setprecision(1);
  const char* gap = "[";
  for (const double each : numbers) {
    std::cout << gap << each;
    gap = " ";
  }
  std::cout << "]\n";
}
