#include "kernel/signals.hpp"

#include <pthread.h>

namespace forkful::kernel {
namespace {

// For each thread, since only a pool's own threads start processes with another mask than theirs.
thread_local sigset_t t_mask;
thread_local bool t_has_mask = false;

}  // namespace

BlockedSignals::BlockedSignals() {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

BlockedSignals::~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

void give_children(const sigset_t& mask) {
  t_mask = mask;
  t_has_mask = true;
}

const sigset_t* mask_of_children() { return t_has_mask ? &t_mask : nullptr; }

std::shared_ptr<void> take_signals_of_children() {
  if (!t_has_mask) return {};
  struct Before {
    Before() { ::pthread_sigmask(SIG_SETMASK, &t_mask, &mask); }
    ~Before() { ::pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
    Before(const Before&) = delete;
    Before& operator=(const Before&) = delete;
    sigset_t mask;
  };
  return std::make_shared<Before>();
}

}  // namespace forkful::kernel
