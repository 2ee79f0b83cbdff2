// A pipe through which nothing is ever written: its readers are told when the writer is gone.
//
// The writer needs no thread and no code for that, so SIGKILL is noticed like any other end. Each
// reader opens the pipe anew, because owner and signal belong to the open file, not to the
// descriptor, and a fork shares the open file.
#pragma once

#include "kernel/fd.hpp"

namespace forkful::kernel {

// Asks for `signal` to this process when the last writer of the pipe `read_end` is gone. The answer
// must stay open for as long as that shall hold.
// Throws: OsError.
Fd watch_writers(int read_end, int signal);

// Whether the pipe has no writer any more. Async-signal-safe.
bool writers_gone(int read_end);

// Installs `handler` for `signal`; it interrupts no system call that can be restarted.
void handle_signal(int signal, void (*handler)(int));

// A real-time signal that nobody else uses by convention.
int lifeline_signal();

// Async-signal-safe.
[[noreturn]] void kill_self();

}  // namespace forkful::kernel
