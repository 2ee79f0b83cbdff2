// A counting semaphore in shared memory. It has no owner: a member that dies with a permit takes
// the permit with it, as with the standard library. Threads: any thread of any member.
#pragma once

#include "sync/bell.hpp"

namespace forkful::sync {

class SemaphoreWord {
 public:
  explicit SemaphoreWord(std::uint32_t value) : value_(value) {}

  [[nodiscard]] bool try_acquire() {
    std::uint32_t now = value_.load(std::memory_order_relaxed);
    while (now > 0) {
      // Acquire: pairs with the exchange in release().
      if (value_.compare_exchange_weak(now, now - 1, std::memory_order_acquire)) return true;
    }
    return false;
  }
  Waited acquire(Wait& wait, SpinBudget& budget);
  // False when that would lead above `most`; nothing changed then.
  [[nodiscard]] bool release(std::uint32_t most);
  // Relaxed: a figure, which may be another one by now.
  [[nodiscard]] std::uint32_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint32_t> value_;
  Bell bell_;
};
static_assert(sizeof(SemaphoreWord) == 16);

}  // namespace forkful::sync
