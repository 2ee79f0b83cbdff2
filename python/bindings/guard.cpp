// Taking the lock of a Value or an Array, and releasing it.
#include "guard.hpp"

#include "core.hpp"

namespace forkful::python {
namespace {

using bytes::RawRLock;

PyTypeObject* g_rlock_type;

// Whether the class has the engine's own method. Both are looked up in their classes, where a
// method of C is one object.
bool has_our_method(PyTypeObject* type, const char* name) {
  const Ref own(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), name));
  const Ref ours(PyObject_GetAttrString(reinterpret_cast<PyObject*>(g_rlock_type), name));
  return own && own.get() == ours.get();
}

}  // namespace

bool find_rlock_type(PyObject* module) {
  g_rlock_type = reinterpret_cast<PyTypeObject*>(PyObject_GetAttrString(module, "RLock"));
  return g_rlock_type != nullptr;
}

// Throws PythonError where it is an RLock whose __init__() has not run.
bool Guard::set(PyObject* lock) {
  if (PyObject_TypeCheck(lock, g_rlock_type) && has_our_method(Py_TYPE(lock), "acquire") &&
      has_our_method(Py_TYPE(lock), "release")) {
    fast_ = &Wrapped<RawRLock>::of(lock);
  }
  if (PyErr_Occurred() != nullptr) return false;
  lock_ = Py_NewRef(lock);
  return true;
}

bool Guard::acquire(const char* noun) {
  if (fast_ == nullptr) {
    if (lock_ == Py_None) return true;
    const Ref done(PyObject_CallMethod(lock_, "acquire", nullptr));
    return bool(done);
  }
  GilWait wait;
  switch (fast_->acquire(wait)) {
    case bytes::Acquired::yes:
      return true;
    case bytes::Acquired::owner_died:
      PyErr_Format(g_lock_owner_died,
                   "the process that held the %s of %s died while holding it; get_lock().recover() "
                   "takes the lock, and what it guards is as that process left it",
                   fast_->called("lock").c_str(), noun);
      return false;
    default:
      return false;
  }
}

bool Guard::release() {
  if (fast_ != nullptr) {
    if (fast_->release()) return true;
    // Code that ran meanwhile, of an element or a finalizer, has released more than it acquired.
    if (PyErr_Occurred() == nullptr)
      PyErr_SetString(
          PyExc_AssertionError,
          "attempt to release recursive lock not owned by thread: it was released while "
          "a value was read or written");
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
  fast_ = nullptr;
  Py_CLEAR(lock_);
}

}  // namespace forkful::python
