#include "sync/internal_lock.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <forkful/bytes/around_wait.hpp>

namespace forkful {
namespace sync {

namespace {

// Longer than an owner that is only preempted is away; what is left is taken up again slowly.
constexpr std::chrono::milliseconds kStuckAfter{10};
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
        // It must not be had while wait.after() waits for the interpreter, which may be long, and
        // for ever where the interpreter ends.
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
  sync::g_around_wait.store(&around, std::memory_order_release);
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
