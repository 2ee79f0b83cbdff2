// When a pool's attendant works, and when it sleeps: one rule for both languages. (Unstable; see
// pool.hpp.)
//
// A pool with unfinished work is always attended: by a thread that waits for a result, or, when
// none does, by the attendant, a thread of the pool that is started with the first asynchronous
// call. It takes the baton only after a grace without a waiter: programs that fetch their results
// never meet it. While nobody needs it, it looks now and then, and when nothing was asked for long
// it sleeps until the next submission wakes it; so neither a submission nor a result costs a
// wake-up in a program that goes on asking.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Keeps every signal from this thread while it lives.
class NoSignals {
 public:
  NoSignals();
  ~NoSignals();
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  alignas(8) std::byte before_[128];  // room for a sigset_t, without its header
};

class Attendance {
 public:
  // How long nobody waits before the attendant steps in; also the time between two of its looks.
  // Long beside the time between two calls of a program that fetches results one by one, short
  // beside what anybody notices.
  static constexpr std::chrono::milliseconds kGrace{30};

  enum class Step {
    attend,  // take the baton
    look,    // come again after kGrace
    sleep,   // until a submission wakes it
  };

  // What the pool's client knows.
  struct Seen {
    bool unfinished;          // work is in the pool
    bool urgent;              // of it, some that no waiter can do: callbacks, time-outs
    std::uint32_t waiting;    // threads that wait
    std::uint64_t waits;      // waits so far
    std::uint64_t submitted;  // calls so far
  };

  Step next(const Seen& seen) {
    const bool waited = seen.waiting > 0 || seen.waits != waits_;
    const bool active = seen.unfinished || seen.submitted != submitted_;
    waits_ = seen.waits;
    submitted_ = seen.submitted;
    if (seen.urgent && seen.waiting == 0) return Step::attend;
    // Twice in a row: the first look may fall just between a submission and its wait.
    const bool was_alone = alone_;
    alone_ = seen.unfinished && !waited;
    idle_ = active ? 0 : idle_ + 1;
    if (alone_ && was_alone) return Step::attend;
    return idle_ > kIdleLooks ? Step::sleep : Step::look;
  }

 private:
  static constexpr std::uint32_t kIdleLooks = 33;  // about a second

  std::uint64_t waits_ = 0;
  std::uint64_t submitted_ = 0;
  bool alone_ = false;  // at the last look, too, nobody waited for what was to be done
  std::uint32_t idle_ = 0;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
