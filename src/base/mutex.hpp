// A mutex of one process that clang's analysis of thread safety knows.
#pragma once

#include <condition_variable>
#include <forkful/detail/waits/thread_safety.hpp>
#include <mutex>

namespace forkful::base {

class FORKFUL_CAPABILITY("mutex") Mutex {
 public:
  void lock() FORKFUL_ACQUIRE() { mutex_.lock(); }
  bool try_lock() FORKFUL_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  void unlock() FORKFUL_RELEASE() { mutex_.unlock(); }

  // Tells the analysis that the mutex is held where it cannot see that. Does nothing.
  void assume_held() const FORKFUL_ASSERT() {}

 private:
  friend class Guard;  // a wait for a condition has to have the standard's type
  std::mutex mutex_;
};

// Has the mutex for as long as it exists, but for the time between unlock() and lock().
class FORKFUL_SCOPED_CAPABILITY Guard {
 public:
  explicit Guard(Mutex& mutex) FORKFUL_ACQUIRE(mutex) : lock_(mutex.mutex_) {}
  ~Guard() FORKFUL_RELEASE() = default;
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  void lock() FORKFUL_ACQUIRE() { lock_.lock(); }
  void unlock() FORKFUL_RELEASE() { lock_.unlock(); }

 private:
  friend class Condition;
  std::unique_lock<std::mutex> lock_;
};

// A condition variable that waits with a Guard. It takes no predicate: the analysis does not know
// that a lambda is called with the mutex held, so callers wait in a loop.
class Condition {
 public:
  void wait(Guard& held) { changed_.wait(held.lock_); }
  template <class Time>
  std::cv_status wait_until(Guard& held, const Time& end) {
    return changed_.wait_until(held.lock_, end);
  }
  template <class Duration>
  std::cv_status wait_for(Guard& held, const Duration& most) {
    return changed_.wait_for(held.lock_, most);
  }
  void notify_one() { changed_.notify_one(); }
  void notify_all() { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};

}  // namespace forkful::base
