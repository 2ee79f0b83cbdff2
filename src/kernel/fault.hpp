// Compiled fault points, in test builds only; fault_points.hpp has their names.
//   FORKFUL_FAULTS="queue.put.reserved:kill@3"   kills the process at the third pass
// A test may also arm a point from inside, for one thread, with a callback.
#pragma once

#include "kernel/fault_points.hpp"

namespace forkful::kernel {

#ifdef FORKFUL_FAULTS
void fault_point(FaultPoint point);
// Calls `action(context)` at the next pass of `point` in this thread.
void arm_fault(FaultPoint point, void (*action)(void*), void* context);
#define FORKFUL_FAULT(name) ::forkful::kernel::fault_point(name)
#else
// Why: a name that is not in the list is refused in this build too.
#define FORKFUL_FAULT(name) static_cast<void>(::forkful::kernel::FaultPoint(name))
#endif

}  // namespace forkful::kernel
