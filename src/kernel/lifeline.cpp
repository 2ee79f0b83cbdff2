#include "kernel/lifeline.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "kernel/error.hpp"

namespace forkful::kernel {

Fd watch_writers(int read_end, int signal) {
  char path[40];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", read_end);
  Fd own(::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!own) throw_errno("open", std::string("the lifeline ") + path);
  if (::fcntl(own.get(), F_SETOWN, ::getpid()) != 0) throw_errno("fcntl(F_SETOWN)", "the lifeline");
  if (::fcntl(own.get(), F_SETSIG, signal) != 0) throw_errno("fcntl(F_SETSIG)", "the lifeline");
  if (::fcntl(own.get(), F_SETFL, O_ASYNC | O_NONBLOCK) != 0) {
    throw_errno("fcntl(O_ASYNC)", "the lifeline");
  }
  return own;
}

bool writers_gone(int read_end) {
  pollfd look{read_end, POLLIN, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & POLLHUP) != 0;
}

void handle_signal(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (::sigaction(signal, &action, nullptr) != 0) throw_errno("sigaction", "the lifeline's signal");
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

int lifeline_signal() { return SIGRTMAX - 3; }

void kill_self() {
  for (;;) ::kill(::getpid(), SIGKILL);
}

}  // namespace forkful::kernel
