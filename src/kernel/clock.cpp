#include "kernel/clock.hpp"

#include <ctime>

namespace forkful {
namespace kernel {
namespace {

// All of these are answered in user space, without a system call, where the machine's clock allows
// it.
std::int64_t read_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

std::int64_t monotonic_ns() { return read_ns(CLOCK_MONOTONIC); }
std::int64_t coarse_ns() { return read_ns(CLOCK_MONOTONIC_COARSE); }
std::int64_t boottime_ns() { return read_ns(CLOCK_BOOTTIME); }

void pause_ms(int milliseconds) {
  const timespec span{milliseconds / 1000, milliseconds % 1000 * 1'000'000L};
  ::nanosleep(&span, nullptr);
}

}  // namespace kernel
}  // namespace forkful
