// Taking the lock of a Value or an Array, and releasing it.
#include "guard.hpp"

#include "core.hpp"
#include "locks.hpp"

namespace forkful::python {

// Throws PythonError where it is a lock whose __init__() has not run.
bool Guard::set(PyObject* lock) {
  if (has_own_methods(lock)) {
    rlock_ = raw_rlock_of(lock);
    plain_ = raw_lock_of(lock);
  }
  lock_ = Py_NewRef(lock);
  return true;
}

template <class T>
bool Guard::wait_for(const T& lock, const char* noun) {
  GilWait wait;
  switch (lock.acquire(wait)) {
    case bytes::Acquired::yes:
      return true;
    case bytes::Acquired::owner_died:
      PyErr_Format(g_lock_owner_died,
                   "the process that held the %s of %s died while holding it; get_lock().recover() "
                   "takes the lock, and what it guards is as that process left it",
                   lock.called("lock").c_str(), noun);
      return false;
    default:
      return false;
  }
}

bool Guard::acquire(const char* noun) {
  if (rlock_ != nullptr) return wait_for(*rlock_, noun);
  if (plain_ != nullptr) return wait_for(*plain_, noun);
  if (lock_ == Py_None) return true;
  const Ref done(PyObject_CallMethod(lock_, "acquire", nullptr));
  return bool(done);
}

bool Guard::release() {
  if (rlock_ != nullptr || plain_ != nullptr) {
    if (rlock_ != nullptr ? rlock_->release() : plain_->release()) return true;
    // Somebody else, or code that ran meanwhile, has released more than it acquired.
    if (PyErr_Occurred() == nullptr)
      PyErr_SetString(rlock_ != nullptr ? PyExc_AssertionError : PyExc_ValueError,
                      "the lock was released by others while a value was read or written");
    return false;
  }
  if (lock_ == Py_None) return true;
  const ErrorKept kept;  // the lock's method is anybody's code
  const Ref done(PyObject_CallMethod(lock_, "release", nullptr));
  return bool(done);
}

int Guard::traverse(visitproc visit, void* arg) const {
  Py_VISIT(lock_);
  return 0;
}

void Guard::clear() {
  rlock_ = nullptr;
  plain_ = nullptr;
  Py_CLEAR(lock_);
}

}  // namespace forkful::python
