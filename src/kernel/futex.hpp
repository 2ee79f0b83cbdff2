// Sleep on a word in shared memory until somebody changes it. Any thread of any member. A waker
// that is killed before its call leaves the sleeper asleep, which is why every sleep of ours has a
// limit (see sync/pace.hpp).
#pragma once

#include <atomic>
#include <cstdint>

namespace forkful::kernel {

// changed: the word did not hold `expected`, so nobody was put to sleep.
enum class FutexWake { woken, changed, timed_out, signalled };

// Sleeps while `word` holds `expected`, at the latest until the monotonic time `until_ns`.
FutexWake futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::int64_t until_ns);

// Wakes up to `count` sleepers; returns how many woke.
int futex_wake(const std::atomic<std::uint32_t>& word, int count);

// Lets another runnable thread have this CPU.
void yield();

// Tells the core that this is a spin.
inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  // Not `yield`, which most cores take for nothing. `isb` waits until the pipeline is empty; Rust's
  // spin_loop() has it for the same reason. Not measured here.
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace forkful::kernel
