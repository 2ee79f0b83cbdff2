// forkful::auto_main: init() for programs whose main() does not call it, such as GoogleTest's.
//
// Linked with --wrap=main, so that the start-up code's call of main() comes here, and __real_main
// is the program's main(), wherever it is defined.
#include <forkful/init.hpp>

// NOLINTBEGIN(bugprone-reserved-identifier): the names that the linker makes up
extern "C" int __real_main(int argc, char** argv, char** environment);

extern "C" int __wrap_main(int argc, char** argv, char** environment);
extern "C" int __wrap_main(int argc, char** argv, char** environment) {
  forkful::init(argc, argv);
  return __real_main(argc, argv, environment);
}
// NOLINTEND(bugprone-reserved-identifier)
