// Two processes calculate, each on a CPU of its own.

#include <cstdint>
#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <iomanip>
#include <iostream>
#include <string>

void heavy_calculation(const std::string& name) {
  constexpr std::uint64_t billion = 1'000'000'000;
  std::uint64_t billions = 0;  // the sum has more than 64 bits; Python's integers just grow
  std::uint64_t rest = 0;
  for (std::uint64_t i = 0; i < 10'000'000; ++i) {
    rest += i * i;
    billions += rest / billion;
    rest %= billion;
  }
  std::cout << name << " finished: " << billions << std::setfill('0') << std::setw(9) << rest
            << '\n';
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Process p1(heavy_calculation, "Core-1");
  forkful::Process p2(heavy_calculation, "Core-2");
  p1.join();
  p2.join();
}
