// The first call in main.
//
//   int main(int argc, char** argv) {
//     forkful::init(argc, argv);
//     forkful::Pool pool(4);
//     …
//
// A process is normally started by executing this program once more: that costs about a
// millisecond whatever the parent's size, and no lock held by another thread comes along. The new
// process runs static initialisers and main() as far as init(), which does what the process was
// started for and exits. So what is done before init() happens in every process.
//
// Where main() is not the program's own (GoogleTest's, say), a program links forkful::auto_main,
// which calls init() before it. A shared library in a program that knows nothing of forkful needs
// no init(): the installed program forkful-host becomes its processes. It is found in PATH, or by
// the environment's FORKFUL_HOST.
#pragma once

#include <forkful/bytes/process.hpp>

namespace forkful {
inline namespace v0 {

// Remembers the arguments for the processes to come; never returns in a process that was started.
// Without it, starting a process throws NotInitialized, except by Context::fork.
inline void init(int argc, char** argv) { bytes::init(argc, argv); }

}  // namespace v0
}  // namespace forkful
