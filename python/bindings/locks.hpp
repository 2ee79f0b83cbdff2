// Locks as Python objects, for other files of the bindings that take and release them.
#pragma once

#include <forkful/bytes/lock.hpp>

#include "core.hpp"

namespace forkful::python {

// Which thread of this process has acquired it by this object, 0 where none has: the engine knows
// only which process holds a Lock. GIL: guards it.
struct LockObject {
  Wrapped<bytes::RawLock> shared;
  unsigned long holder;

  static LockObject& whole(PyObject* self) { return *reinterpret_cast<LockObject*>(self); }
};

// Whether this thread holds it, as far as anybody knows: another object for the same lock, which a
// thread may have acquired it by, does not know the thread either.
bool is_held_here(PyObject* lock, const bytes::RawLock& raw);
inline bool is_held_here(PyObject*, const bytes::RawRLock& raw) { return raw.mine(); }
// Says which thread has taken it, or, with 0, that it is released. An RLock of the engine knows its
// thread by itself, and a semaphore is nobody's.
template <class T>
void note_holder(PyObject*, const T&, unsigned long) {}
inline void note_holder(PyObject* lock, const bytes::RawLock&, unsigned long thread) {
  LockObject::whole(lock).holder = thread;
}

// The engine's lock of a Lock or RLock of ours, nullptr for what is none. Throws PythonError, when
// its __init__() has not run.
const bytes::RawLock* raw_lock_of(PyObject* lock);
const bytes::RawRLock* raw_rlock_of(PyObject* lock);
// Whether it is such a lock, and its methods acquire() and release() are the bindings' own, and not
// those of a subclass, which are to be called then. Throws PythonError.
bool has_own_methods(PyObject* lock);

}  // namespace forkful::python
