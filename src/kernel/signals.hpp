// Which signals a thread takes.
#pragma once

#include <signal.h>

#include <memory>

namespace forkful::kernel {

// Blocks every signal in this thread while it lives. Make one, start a thread, and let it go: the
// thread takes none, ever.
class BlockedSignals {
 public:
  BlockedSignals();
  ~BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  // The mask as it was, for give_children() in the new thread.
  [[nodiscard]] const sigset_t& before() const { return before_; }

 private:
  sigset_t before_;
};

// Processes that this thread starts block `mask`, and not what the thread does.
void give_children(const sigset_t& mask);
// What give_children() got; null where it was not called.
const sigset_t* mask_of_children();
// Where it was called, this thread blocks no more than that for as long as the answer lives.
std::shared_ptr<void> take_signals_of_children();

}  // namespace forkful::kernel
