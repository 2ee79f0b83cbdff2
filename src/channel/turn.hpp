// Threads of one process taking turns, by a wait that ends as others do. A std::mutex would do, if
// its wait could be interrupted and gave Python's interpreter lock away.
//
// Fork: a turn that another thread of the parent had is free in the child: the word says whose.
#pragma once

#include <atomic>
#include <cstdint>
#include <forkful/wait.hpp>

#include "kernel/futex.hpp"
#include "kernel/process_info.hpp"
#include "sync/pace.hpp"

namespace forkful::channel {

class Turn {
 public:
  Waited take(Wait& wait, sync::Blocking& blocking) {
    const std::uint32_t mine = static_cast<std::uint32_t>(kernel::current_pid()) << 1;
    bool waited = false;
    bool woken = false;
    sync::Slices slices(wait);
    for (;;) {
      std::uint32_t seen = word_.load(std::memory_order_relaxed);
      if ((seen & ~kAwaited) != mine) {  // free, or taken in another process
        // Acquire: pairs with the release in end(). Others may wait besides one who waited.
        if (word_.compare_exchange_weak(seen, mine | (waited ? kAwaited : 0),
                                        std::memory_order_acquire)) {
          return Waited::done;
        }
        continue;
      }
      if (!woken && slices.expired()) return Waited::timed_out;
      if (seen != (mine | kAwaited) && !word_.compare_exchange_weak(seen, mine | kAwaited)) {
        continue;
      }
      // Whoever was woken and leaves without the turn has said first that others may wait.
      if (woken && slices.expired()) return Waited::timed_out;
      blocking.begin();
      waited = true;
      const auto how = slices.sleep(word_, mine | kAwaited);
      woken = how == kernel::FutexWake::woken;
      if (how == kernel::FutexWake::timed_out || how == kernel::FutexWake::signalled) {
        if (wait.interrupted(how == kernel::FutexWake::signalled)) return Waited::interrupted;
      }
    }
  }
  // Release: pairs with the acquire in take().
  void end() {
    if ((word_.exchange(0, std::memory_order_release) & kAwaited) != 0) {
      kernel::futex_wake(word_, 1);
    }
  }

 private:
  static constexpr std::uint32_t kAwaited = 1;
  std::atomic<std::uint32_t> word_{
      0};  // the pid of the process that has it, and whether somebody waits
};

// Ends a turn that was taken.
class EndOfTurn {
 public:
  explicit EndOfTurn(Turn& turn) : turn_(turn) {}
  ~EndOfTurn() { turn_.end(); }
  EndOfTurn(const EndOfTurn&) = delete;
  EndOfTurn& operator=(const EndOfTurn&) = delete;

 private:
  Turn& turn_;
};

}  // namespace forkful::channel
