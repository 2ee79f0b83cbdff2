// In place of src/kernel/futex.cpp and clock.cpp: a kernel that the schedule simulates.
#include <cstring>
#include <ctime>

#include "kernel/clock.hpp"
#include "kernel/futex.hpp"
#include "schedule.hpp"

namespace forkful {
namespace kernel {

namespace {

using schedules::g_schedule;
bool is_simulated() { return g_schedule != nullptr && g_schedule->runs(); }

}  // namespace

FutexWake futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::int64_t until_ns) {
  if (!is_simulated()) return FutexWake::timed_out;
  const auto at = reinterpret_cast<std::uintptr_t>(&word);
  return g_schedule->put_to_sleep(schedules::is_shared(at) ? at : 0, expected, until_ns);
}

int futex_wake(const std::atomic<std::uint32_t>& word, int count) {
  return is_simulated() ? g_schedule->wake(reinterpret_cast<std::uintptr_t>(&word), count) : 0;
}

void yield() {
  if (is_simulated()) g_schedule->yield();
}

std::int64_t monotonic_ns() { return g_schedule != nullptr ? g_schedule->now_ns() : 1; }
std::int64_t coarse_ns() { return monotonic_ns(); }
std::int64_t boottime_ns() { return monotonic_ns(); }
void pause_ms(int) {}

}  // namespace kernel
}  // namespace forkful
