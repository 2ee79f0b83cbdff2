// A mutex of one process that clang's analysis of thread safety knows: which members it guards and
// which functions need it are said in types, and `-Wthread-safety` finds the uses without it. Under
// gcc the annotations are empty.
#pragma once

#include <condition_variable>
#include <mutex>

#ifdef __clang__
#define FORKFUL_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define FORKFUL_THREAD_SAFETY(attribute)
#endif

#define FORKFUL_CAPABILITY(name) FORKFUL_THREAD_SAFETY(capability(name))
#define FORKFUL_SCOPED_CAPABILITY FORKFUL_THREAD_SAFETY(scoped_lockable)
#define FORKFUL_GUARDED_BY(mutex) FORKFUL_THREAD_SAFETY(guarded_by(mutex))
#define FORKFUL_REQUIRES(...) FORKFUL_THREAD_SAFETY(requires_capability(__VA_ARGS__))
#define FORKFUL_EXCLUDES(...) FORKFUL_THREAD_SAFETY(locks_excluded(__VA_ARGS__))
#define FORKFUL_ACQUIRE(...) FORKFUL_THREAD_SAFETY(acquire_capability(__VA_ARGS__))
#define FORKFUL_TRY_ACQUIRE(...) FORKFUL_THREAD_SAFETY(try_acquire_capability(__VA_ARGS__))
#define FORKFUL_RELEASE(...) FORKFUL_THREAD_SAFETY(release_capability(__VA_ARGS__))
#define FORKFUL_ASSERT(...) FORKFUL_THREAD_SAFETY(assert_capability(__VA_ARGS__))
// Its line says why the analysis cannot follow.
#define FORKFUL_NO_THREAD_SAFETY_ANALYSIS FORKFUL_THREAD_SAFETY(no_thread_safety_analysis)

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
