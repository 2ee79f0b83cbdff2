// What the files of the extension module share: `forkful._core`, a client of the public headers.
//
// Everything here runs with the interpreter lock held unless it says otherwise. The lock is given
// away only between Wait::before() and Wait::after(), that is, before a sleep.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <forkful/errors.hpp>
#include <forkful/wait.hpp>
#include <new>
#include <utility>

namespace forkful::python {

// A reference that releases itself.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* owned) : object_(owned) {}
  static Ref borrow(PyObject* object) { return Ref(Py_XNewRef(object)); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
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

// Waits with the interpreter lock given away; a signal's handler runs in the main thread, and an
// exception of it ends the wait.
class GilWait final : public Wait {
 public:
  using Wait::Wait;
  void before() noexcept override { state_ = PyEval_SaveThread(); }
  void after() noexcept override { PyEval_RestoreThread(state_); }
  bool interrupted(bool signalled) noexcept override;

 private:
  PyThreadState* state_ = nullptr;
};

// Whether this thread is the one that runs signal handlers.
bool is_main_thread();

// The deadline of Python's (block, timeout) arguments; false with an exception set where timeout
// is no number.
bool to_deadline(PyObject* block, PyObject* timeout, Deadline& deadline);

// Sets the Python exception for the C++ one in flight; returns nullptr.
PyObject* raise_current();

// Calls `body()`, which returns a new reference or nullptr, turning C++ exceptions into Python's.
template <class Body>
PyObject* guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (...) {
    return raise_current();
  }
}

// A Python object around a copyable handle `T`.
template <class T>
struct Wrapped {
  PyObject_HEAD T handle;

  static T& of(PyObject* self) { return reinterpret_cast<Wrapped*>(self)->handle; }
  static PyObject* make(PyTypeObject* type, T handle) {
    PyObject* self = type->tp_alloc(type, 0);
    if (self != nullptr) new (&of(self)) T(std::move(handle));
    return self;
  }
  static void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    of(self).~T();
    type->tp_free(self);
    Py_DECREF(type);
  }
  // name() -> (offset, serial), and the static adopt(cls, offset, serial).
  static PyObject* name(PyObject* self, PyObject*) {
    return guarded([&] {
      const auto name = of(self).name();
      return Py_BuildValue("KK", static_cast<unsigned long long>(name.offset),
                           static_cast<unsigned long long>(name.serial));
    });
  }
  static PyObject* adopt(PyObject* type, PyObject* args) {
    unsigned long long offset = 0;
    unsigned long long serial = 0;
    if (!PyArg_ParseTuple(args, "KK", &offset, &serial)) return nullptr;
    return guarded(
        [&] { return make(reinterpret_cast<PyTypeObject*>(type), T::adopt({offset, serial})); });
  }
};

// A method of another signature, for a table of methods whose flags say so.
template <class F>
constexpr PyCFunction as_function(F function) noexcept {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// Exceptions that are also Python's, made by add_errors().
extern PyObject* g_lock_owner_died;
extern PyObject* g_shut_down;
extern PyObject* g_layout_mismatch;
extern PyObject* g_timeout_error;
// queue.Empty and queue.Full.
extern PyObject* g_empty;
extern PyObject* g_full;

bool add_errors(PyObject* module);
bool add_values(PyObject* module);
bool add_locks(PyObject* module);
bool add_queue(PyObject* module);
bool add_cells(PyObject* module);
bool add_processes(PyObject* module);
bool add_pool_client(PyObject* module);
bool add_pool_worker(PyObject* module);

// Adds a heap type made of `spec`; false with an exception set.
bool add_type(PyObject* module, PyType_Spec& spec, PyTypeObject** into = nullptr);

}  // namespace forkful::python
