// Compiled fault points, in test builds only:
//   FORKFUL_FAULTS="queue.put.reserved:kill@3"   kills the process at the third pass
// A test may also arm a point from inside, for one thread, with a callback.
#pragma once

namespace forkful::kernel {

#ifdef FORKFUL_FAULTS
void fault_point(const char* name);
// Calls `action(context)` at the next pass of `name` in this thread; nullptr disarms.
void arm_fault(const char* name, void (*action)(void*), void* context);
#define FORKFUL_FAULT(name) ::forkful::kernel::fault_point(name)
#else
#define FORKFUL_FAULT(name) void()
#endif

}  // namespace forkful::kernel
