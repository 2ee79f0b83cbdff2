// The lock around a Value or an Array.
//
// GIL:   given away while the lock is waited for; not given away by acquiring a free one.
// Death: a process that dies with the lock held leaves what it guards as it is; see acquire().
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <forkful/bytes/lock.hpp>

namespace forkful::python {

// Part of a Python object, whose memory begins as zeros; so there is no constructor.
class Guard {
 public:
  // Takes a reference. `lock` is None, or anything with acquire() and release(). False with an
  // exception set.
  bool set(PyObject* lock);
  // Borrowed; nullptr before set().
  [[nodiscard]] PyObject* lock() const { return lock_; }

  // False with an exception set; the lock is not held then. `noun`: of what it is the lock, for the
  // error.
  bool acquire(const char* noun);
  // False with an exception set. One that is set already stays: it is why there is no result.
  bool release();

  int traverse(visitproc visit, void* arg) const;
  void clear();

 private:
  // False with an exception set: its owner has died, or a signal's handler has raised.
  template <class T>
  bool wait_for(const T& lock, const char* noun);

  PyObject* lock_;
  // The lock, where it is one of ours whose methods nobody has overridden. It lies within the
  // object that `lock_` refers to, and so lives as long, and spares the look-up and the call of
  // two methods for each access.
  const bytes::RawRLock* rlock_;
  const bytes::RawLock* plain_;
};

}  // namespace forkful::python
