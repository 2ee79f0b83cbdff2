// Waiting for internal locks whose owner is stopped: when a wait counts as stuck, and what goes on
// meanwhile. BELL.md has the reasons; the lock itself is an OwnerWord.
//
// Any thread of any member comes here, but only when try_lock() has failed. A caller that is killed
// here has nothing of the lock yet.
#include "sync/internal_lock.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <forkful/bytes/around_wait.hpp>

namespace forkful {
namespace sync {

namespace {

// Longer than an owner that is merely preempted stays away. Not shorter, because a call that has
// left takes its time to begin again.
constexpr std::chrono::milliseconds kStuckAfter{10};
// A guess. Each slice is one attempt of the caller, which has then heard of signals and time-outs.
constexpr std::chrono::milliseconds kSlice{100};

// A slice of the wait outside, interrupted as the whole is.
class Slice final : public Wait {
 public:
  explicit Slice(Wait& whole) : Wait(end_of_slice(whole.deadline)), whole_(whole) {}
  bool interrupted(bool signalled) noexcept override { return whole_.interrupted(signalled); }

 private:
  static Deadline end_of_slice(Deadline end) {
    const Deadline slice = Deadline::in(kSlice);
    return end.is_poll() ? slice : Deadline{std::min(slice.at_ns, end.at_ns)};
  }

  Wait& whole_;
};

std::atomic<const bytes::AroundWait*> g_around_wait{nullptr};

// The wait of a call that has none.
class Patience final : public Wait {
 public:
  // Acquire: pairs with the release in set_around_wait(), which another thread may be in.
  void before() noexcept override {
    around_ = BareWaits::apply() ? nullptr : g_around_wait.load(std::memory_order_acquire);
    if (around_ != nullptr) begun_ = around_->begin();
  }
  void after() noexcept override {
    if (around_ != nullptr) around_->end(begun_);
  }

 private:
  const bytes::AroundWait* around_ = nullptr;
  void* begun_ = nullptr;
};

}  // namespace

// IfStuck::wait takes turns of 10 ms for the lock and of a slice outside, because only the wait
// outside gives the interpreter lock away, and giving it away costs more than most waits last.
Locked lock_internally(OwnerWord& word, MemberId me, IfStuck if_stuck) {
  for (;;) {
    Wait wait(Deadline::in(kStuckAfter));
    const Locked how = word.lock(me, wait, Death::take_over);
    if (how != Locked::timed_out) return how;
    const StuckLock stuck{&word};
    if (if_stuck == IfStuck::leave) throw stuck;
    await_stuck(stuck);
  }
}

void await_stuck(const StuckLock& stuck) noexcept {
  Patience wait;
  (void)await_stuck(stuck, wait);
}

Waited await_stuck(const StuckLock& stuck, Wait& wait) {
  {
    Blocking blocking(wait);
    blocking.begin();
    Slice slice(wait);
    switch (stuck.word->lock(self(), slice, Death::report)) {
      case Locked::yes:
        // It must not be had while wait.after() waits for the interpreter lock, which may be long,
        // and for ever where the interpreter ends. The caller tries to take it anew.
        stuck.word->unlock();
        return Waited::done;
      case Locked::interrupted:
        return Waited::interrupted;
      case Locked::owner_died:
        return Waited::done;  // whoever takes it over repairs what it guards
      case Locked::timed_out:
        break;
    }
  }
  const Deadline end = wait.deadline;
  const bool over = !end.is_poll() && !end.is_never() && kernel::monotonic_ns() >= end.at_ns;
  return over ? Waited::timed_out : Waited::done;
}

}  // namespace sync

inline namespace v0 {
namespace bytes {

void set_around_wait(const AroundWait& around) {
  // Release: pairs with the acquire in Patience::before().
  sync::g_around_wait.store(&around, std::memory_order_release);
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
