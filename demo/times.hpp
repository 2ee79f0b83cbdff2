// The C++ side of times.py.
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

// Runs `work`, prints how long it took, and adds that to the file that FORKFUL_DEMO_TIMES names.
template <class Work>
auto timed(const std::string& part, const std::string& how, Work work) {
  const auto begin = std::chrono::steady_clock::now();
  auto result = work();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  std::printf("  %s: %.2f s\n", how.c_str(), time.count());
  std::fflush(stdout);
  if (const char* file = std::getenv("FORKFUL_DEMO_TIMES")) {
    std::ofstream(file, std::ios::app) << part << "\tC++\t" << how << '\t' << time.count() << '\n';
  }
  return result;
}
