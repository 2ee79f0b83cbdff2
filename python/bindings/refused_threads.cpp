// What becomes of a thread that the ending interpreter refuses: it is parked for ever.
//
// While the interpreter ends, a daemon thread that asks for the interpreter lock does not get it:
// Python 3.11 to 3.13 call pthread_exit(), which unwinds the thread's stack as an exception does,
// past every frame. (From 3.14 on Python itself parks such a thread.) The thread may ask anywhere:
// after a sleep, but also wherever Python code runs below a frame of ours, in an unpickling object
// or a finalizer. Our frames cannot be unwound there. Some are noexcept, so that the process would
// abort; and destructors would release Python objects without the lock.
//
// So the unwinding ends at the first frame of this module that it reaches. A compiler gives each
// C++ frame that has anything to do when it is unwound a "personality routine", which the unwinder
// asks what to do there; the linker's --wrap (cmake/python.cmake) makes ours stand before the usual
// one, in the engine's part of this module as well. The parked thread holds no internal lock, since
// none is held where Python code may run, and it ends with the process, as daemon threads do.
#include <unwind.h>

#include <chrono>
#include <thread>

// NOLINTBEGIN(bugprone-reserved-identifier): the linker gives these names.
extern "C" {

_Unwind_Reason_Code __real___gxx_personality_v0(int version, _Unwind_Action actions,
                                                _Unwind_Exception_Class kind,
                                                _Unwind_Exception* exception,
                                                _Unwind_Context* frame);

__attribute__((used, visibility("hidden"))) _Unwind_Reason_Code
__wrap___gxx_personality_v0(int version, _Unwind_Action actions, _Unwind_Exception_Class kind,
                            _Unwind_Exception* exception, _Unwind_Context* frame) {
  // Only the end of a thread forces unwinding; an exception does not.
  if ((actions & _UA_FORCE_UNWIND) != 0) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(24));
  }
  return __real___gxx_personality_v0(version, actions, kind, exception, frame);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
