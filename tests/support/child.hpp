// Processes as a test's actors: forked members that report, wait and are killed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/ids.hpp"
#include "kernel/fault.hpp"

namespace forkful::test {

// A forked process. One that is not waited for is killed with the object.
class Child {
 public:
  Child(pid_t pid, base::MemberId member) : pid_(pid), member_(member) {}
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)), member_(std::exchange(other.member_, {})) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(member_, other.member_);
    return *this;
  }
  ~Child();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] base::MemberId member() const { return member_; }

  void signal(int number) const;
  // Waits for the end and reaps the member. Returns the exit code, or minus the signal.
  int wait();
  // Waits for the end and leaves the member to be found dead.
  int wait_without_reaping();
  int kill();
  [[nodiscard]] bool has_ended() const;
  // Waits until the process is stopped; until all of it sleeps in the kernel; until it is a zombie.
  void await_stopped() const;
  void await_asleep() const;
  void await_zombie() const;

 private:
  [[nodiscard]] bool is_in(const char* states) const;
  void await_state(const char* states) const;
  pid_t pid_;
  base::MemberId member_;
};

// Runs `body` in a forked member, which then leaves in order. An exception or a failed must() ends
// it with code 99 and the reason on stderr. Neither outlives this process nor its time.
inline constexpr unsigned kMostSeconds = 100;
Child fork_child(const std::function<void()>& body, unsigned most_seconds = kMostSeconds);
// Likewise by a raw clone, which no fork handler sees.
Child clone_child(const std::function<void()>& body);

inline constexpr int kBroken = 99;

// In a child: an expectation.
void must(bool holds, const char* what);
#define FORKFUL_MUST(expression) ::forkful::test::must(bool(expression), #expression)

// Ends this process here, as SIGKILL does.
[[noreturn]] void die();
// Kills this process at the `pass`-th pass of a fault point in this thread.
void die_at(kernel::FaultPoint point, int pass = 1);
// Likewise, but stops it, until somebody continues it.
void stop_at(kernel::FaultPoint point, int pass = 1);
// for (const kernel::FaultPoint point : FaultPoints{"journal.staged", "journal.committed"}) …
using FaultPoints = std::initializer_list<kernel::FaultPoint>;

// Waits for a condition that others bring about; fails the test (or the child) after 30 s.
void await(const std::function<bool()>& condition, const char* what);
#define FORKFUL_AWAIT(expression) \
  ::forkful::test::await([&] { return bool(expression); }, #expression)

// The seed of a random test: FORKFUL_SEED, or a new one; printed either way.
unsigned seed();
// A number from the environment, for longer runs than CI's.
long from_environment(const char* name, long otherwise);

// A T in memory that forked processes share, apart from all that is tested.
void* shared_memory(std::size_t bytes);
template <class T>
T& shared() {
  return *new (shared_memory(sizeof(T))) T{};
}

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressSanitizer = true;  // which itself reads /proc
#else
inline constexpr bool kAddressSanitizer = false;
#endif

}  // namespace forkful::test
