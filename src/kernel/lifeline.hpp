// How a process is told that another one is gone, without a thread and without the other one's
// help: by a signal, which comes by two ways, each of which may be cut.
//
//   a pipe          through which nothing is ever written; its readers are told when no writer is
//                   left. Cut where /proc is missing, and when either side closes the descriptor.
//   the parent's    the kernel tells the children of a thread when it ends. Cut when the child
//   death signal    changes its user, and only a parent is watched.
//
// Both ways tell too much as well: the other side may have closed its descriptor, or ended the
// thread that started this process. So the signal only makes its handler look.
#pragma once

#include "kernel/fd.hpp"

namespace forkful::kernel {

// A pipe that every reader can open anew, also after it has dropped its privileges.
PipeEnds make_lifeline();

// Asks for `signal` to this process when the last writer of the pipe `read_end` is gone. The answer
// must stay open for as long as the signal is wanted. It is empty where the pipe cannot be opened
// anew, which needs /proc: owner and signal belong to the open file, which a fork shares.
Fd watch_writers(int read_end, int signal);

// Asks for `signal` to this process when the thread that started it has ended.
void watch_parent(int signal);

// Whether the pipe has no writer any more. Async-signal-safe.
bool writers_gone(int read_end);

// Installs `handler` for `signal`; it interrupts no system call that can be restarted.
void handle_signal(int signal, void (*handler)(int));

// One that does nothing where it has no handler: a program that resets or replaces the handlers of
// signals, or executes another program, is not ended by it.
int lifeline_signal();

// One that a stopped process takes, and which does nothing to one that runs.
int continuing_signal();

// Async-signal-safe.
[[noreturn]] void kill_self();

}  // namespace forkful::kernel
