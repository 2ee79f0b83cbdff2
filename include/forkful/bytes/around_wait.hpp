// What a thread does around a long wait for one of the engine's own locks, in a call that takes no
// Wait: the Python package gives the interpreter lock away. (Unstable.)
#pragma once

namespace forkful {
inline namespace v0 {
namespace bytes {

// The engine calls begin() while the thread has no lock that another thread of this process may
// wait for in end(), and end() with what begin() returned, likewise.
struct AroundWait {
  void* (*begin)() noexcept;
  void (*end)(void* begun) noexcept;
};

// For this process, from now on; `around` is never destroyed. Threads: any.
void set_around_wait(const AroundWait& around);

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
