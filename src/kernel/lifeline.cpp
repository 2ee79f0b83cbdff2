#include "kernel/lifeline.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "kernel/error.hpp"

namespace forkful::kernel {

PipeEnds make_lifeline() {
  PipeEnds ends = make_pipe();
  // A pipe belongs to the user that made it. Only those that may open /proc/PID/fd/N get so far as
  // to be asked for this mode.
  (void)::fchmod(ends.read.get(), S_IRUSR | S_IRGRP | S_IROTH);
  return ends;
}

Fd watch_writers(int read_end, int signal) {
  char path[40];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", read_end);
  Fd own(::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!own || ::fcntl(own.get(), F_SETOWN, ::getpid()) != 0 ||
      ::fcntl(own.get(), F_SETSIG, signal) != 0 ||
      ::fcntl(own.get(), F_SETFL, O_ASYNC | O_NONBLOCK) != 0) {
    own.reset();
  }
  return own;
}

void watch_parent(int signal) { (void)::prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }

bool writers_gone(int read_end) {
  pollfd look{read_end, POLLIN, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & POLLHUP) != 0;
}

void handle_signal(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  if (::sigaction(signal, &action, nullptr) != 0) throw_errno("sigaction", "the lifeline's signal");
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

int lifeline_signal() { return SIGURG; }

int continuing_signal() { return SIGCONT; }

void kill_self() {
  for (;;) ::kill(::getpid(), SIGKILL);
}

}  // namespace forkful::kernel
