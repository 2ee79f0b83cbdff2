// Passes a notification of a bell on after a wait.
#pragma once

#include "sync/bell.hpp"

namespace forkful::sync {

// One that came while this caller was on its way, or that it took as a spinner, was for whoever
// comes next too, if there is enough for more. So it looks again at the other side's end, whichever
// way the call ends. Where nobody sleeps it leaves that end alone, since a look takes a cache line
// away from the other side.
template <class Ready>
class PassOn {
 public:
  PassOn(BellView bell, Ready more) : bell_(bell), more_(more) {}
  ~PassOn() { pass_on(); }
  PassOn(const PassOn&) = delete;
  PassOn& operator=(const PassOn&) = delete;
  void waited() { waited_ = true; }
  [[nodiscard]] bool has_waited() const { return waited_; }
  // Before the call's end, for a caller that does something else first.
  void pass_on() {
    if (waited_ && bell_.has_sleepers() && more_()) bell_.notify();
  }

 private:
  BellView bell_;
  Ready more_;
  bool waited_ = false;
};

}  // namespace forkful::sync
