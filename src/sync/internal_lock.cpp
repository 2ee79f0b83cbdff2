#include "sync/internal_lock.hpp"

#include <algorithm>
#include <chrono>

namespace forkful::sync {

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

}  // namespace

Locked lock_internally(OwnerWord& word, MemberId me, IfStuck if_stuck) {
  Wait wait(if_stuck == IfStuck::leave ? Deadline::in(kStuckAfter) : Deadline::never());
  const Locked how = word.lock(me, wait, Death::take_over);
  if (how == Locked::timed_out) throw StuckLock{&word};
  return how;
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

}  // namespace forkful::sync
