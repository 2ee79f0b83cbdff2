// A reference to a Python object that releases itself. GIL: needed at its end, unless it is null.
// Releasing the last reference may run code; so one that lies in a structure is best moved out of
// it first.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <utility>

namespace forkful::python {

class Ref {
 public:
  Ref() = default;
  // Takes over a reference, as functions of the C API return it: null is an error, which is still
  // set.
  explicit Ref(PyObject* owned) : object_(owned) {}
  // Makes one of its own; null stays null.
  static Ref borrow(PyObject* object) { return Ref(Py_XNewRef(object)); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  // The old object goes last, when this one is whole: its end may run code that looks here.
  Ref& operator=(Ref&& other) noexcept {
    Ref old(std::exchange(object_, std::exchange(other.object_, nullptr)));
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  [[nodiscard]] PyObject* get() const { return object_; }
  [[nodiscard]] PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

}  // namespace forkful::python
