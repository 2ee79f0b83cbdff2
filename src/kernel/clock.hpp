// Time: CLOCK_MONOTONIC for every wait, CLOCK_BOOTTIME to compare with a process's start.
#pragma once

#include <cstdint>

namespace forkful::kernel {

// For deadlines and spins. A call costs some 30 ns.
std::int64_t monotonic_ns();
// The same clock as of its last tick, some milliseconds ago at most, for a quarter of the price.
std::int64_t coarse_ns();
// Counts time in suspend as well, as the start time in /proc/PID/stat does. For nothing but that
// comparison.
std::int64_t boottime_ns();

// Sleeps. Async-signal-safe.
void pause_ms(int milliseconds);

}  // namespace forkful::kernel
