// The futex calls. Not the private ones: the words lie in memory that several processes map, so the
// kernel has to find a word by its page and not by its address.
#include "kernel/futex.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <limits>

namespace forkful::kernel {

// The kernel compares four bytes; a lock beside them would be unknown to it.
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

FutexWake futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::int64_t until_ns) {
  timespec until{};
  timespec* limit = nullptr;
  if (until_ns != std::numeric_limits<std::int64_t>::max()) {
    until.tv_sec = until_ns / 1'000'000'000;
    until.tv_nsec = until_ns % 1'000'000'000;
    limit = &until;
  }
  // FUTEX_WAIT_BITSET takes an absolute monotonic time, FUTEX_WAIT a relative one.
  const long result = ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected, limit, nullptr,
                                FUTEX_BITSET_MATCH_ANY);
  if (result == 0) return FutexWake::woken;
  switch (errno) {
    case EAGAIN:
      return FutexWake::changed;
    case ETIMEDOUT:
      return FutexWake::timed_out;
    // EINTR: a handler ran. Not repeated here, since the caller's wait decides whether it goes on.
    default:
      return FutexWake::signalled;
  }
}

void yield() { ::sched_yield(); }

// An error (the page is gone) counts as nobody woken; sleepers look for themselves at the end of
// their slice.
int futex_wake(const std::atomic<std::uint32_t>& word, int count) {
  return static_cast<int>(::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0));
}

}  // namespace forkful::kernel
