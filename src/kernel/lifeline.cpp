// The system calls of the orphan rule; process/lifelines.cpp decides what the signals mean.
#include "kernel/lifeline.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

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
  // An open file of our own. O_ASYNC and F_SETOWN belong to the open file, which a fork shares: on
  // the inherited one the last process to ask would get the signal for all.
  Fd own = open_again(read_end, O_RDONLY | O_NONBLOCK);
  // The owner and the signal come before O_ASYNC, so that no signal goes to whoever was set before.
  if (!own || ::fcntl(own.get(), F_SETOWN, ::getpid()) != 0 ||
      ::fcntl(own.get(), F_SETSIG, signal) != 0 ||
      ::fcntl(own.get(), F_SETFL, O_ASYNC | O_NONBLOCK) != 0) {
    own.reset();
  }
  return own;
}

void watch_parent(int signal) { (void)::prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }

// POLLHUP comes without being asked for; POLLIN never comes, since nothing is written.
bool writers_gone(int read_end) {
  pollfd look{read_end, POLLIN, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & POLLHUP) != 0;
}

void handle_signal(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  // SA_ONSTACK: a program may have given its threads stacks that are too small for a handler (Go
  // does).
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  if (::sigaction(signal, &action, nullptr) != 0) throw_errno("sigaction", "the lifeline's signal");
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  // For this thread, which starts the program's others. A mask that was inherited from a parent
  // that blocked everything would leave this process without news of its elder.
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

int lifeline_signal() { return SIGURG; }

int continuing_signal() { return SIGCONT; }

// In a loop, since the compiler must be told that it does not return and the signal may be taken a
// moment later. SIGKILL, because a handler of the program's could refuse any other.
void kill_self() {
  for (;;) ::kill(::getpid(), SIGKILL);
}

}  // namespace forkful::kernel
