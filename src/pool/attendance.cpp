// NoSignals, for the threads that the Python package starts: it sees public headers only, and those
// do not include the system's <signal.h>.
#include <forkful/bytes/attendance.hpp>
#include <new>

#include "kernel/signals.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {

static_assert(sizeof(kernel::BlockedSignals) <= 128 && alignof(kernel::BlockedSignals) <= 8);

NoSignals::NoSignals() { new (before_) kernel::BlockedSignals(); }
NoSignals::~NoSignals() {
  std::launder(reinterpret_cast<kernel::BlockedSignals*>(before_))->~BlockedSignals();
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
