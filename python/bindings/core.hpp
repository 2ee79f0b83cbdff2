// What the files of the extension module share: `forkful._core`, a client of the public headers.
//
// Everything here runs with the interpreter lock held unless it says otherwise. The lock is given
// away only around a sleep: between Wait::before() and Wait::after(), and in any call of the engine
// that waits for a lock whose owner is stopped (see AroundWait). A thread that does not get it
// back, because the interpreter ends, is parked for ever: see refused_threads.cpp.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <forkful/wait.hpp>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "handles.hpp"
#include "ref.hpp"

namespace forkful::python {

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

// The last child that this thread has forked by _core.fork(); it is noted before any handler runs.
struct Forked {
  int pid = 0;
  std::uint32_t member = 0;
};
Forked take_forked();

// Throws PythonError: __init__() of this object has not run.
[[noreturn]] void raise_unmade(PyObject* self);

// A Python object around a handle `T` of the engine, which __init__() makes, so that subclasses
// have constructors of their own; until then it has none. __getstate__() names it for relatives,
// and __setstate__() takes what was named.
template <class T>
struct Wrapped {
  PyObject_HEAD T handle;
  // Handles that a second __init__() or __setstate__() has replaced: another thread may still be
  // in a method with one of them, and only while somebody refers to this object.
  std::vector<T> replaced;

  static Wrapped& whole(PyObject* self) { return *reinterpret_cast<Wrapped*>(self); }
  // Throws PythonError.
  static T& of(PyObject* self) {
    T& handle = whole(self).handle;
    if (!handle) [[unlikely]]
      raise_unmade(self);
    return handle;
  }
  static void set(PyObject* self, T handle) {
    Wrapped& object = whole(self);
    std::swap(object.handle, handle);
    if (handle) object.replaced.push_back(std::move(handle));
  }
  // tp_new, whatever a subclass's __init__() is called with.
  static PyObject* blank(PyTypeObject* type, PyObject*, PyObject*) {
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    new (&whole(self).handle) T();
    new (&whole(self).replaced) std::vector<T>();
    return self;
  }
  static void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    whole(self).handle.~T();
    whole(self).replaced.~vector();
    type->tp_free(self);
    Py_DECREF(type);
  }
  // (family, offset, serial)
  static PyObject* getstate(PyObject* self, PyObject*) {
    return guarded([&] { return id_of(of(self)); });
  }
  static PyObject* setstate(PyObject* self, PyObject* state) {
    bytes::Shared::Id id{};
    if (!parse_id(state, id)) return nullptr;
    return guarded([&]() -> PyObject* {
      set(self, T::adopt(id));
      Py_RETURN_NONE;
    });
  }
};

template <class T>
PyObject* get_label(PyObject* self, void*) {
  return guarded([&] {
    const std::string text = Wrapped<T>::of(self).label();
    return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  });
}
// For the table of a type's attributes.
template <class T>
inline constexpr PyGetSetDef label_attribute{
    "_label", get_label<T>, nullptr,
    "What views and messages call it: its name=, or the line that made it.", nullptr};

// A method of another signature, for a table of methods whose flags say so.
template <class F>
constexpr PyCFunction as_function(F function) noexcept {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

bool add_values(PyObject* module);
bool add_own_methods(PyObject* module);
bool add_locks(PyObject* module);
bool add_condition(PyObject* module);
bool add_barrier(PyObject* module);
bool add_queue(PyObject* module);
bool add_queue_ends(PyObject* module);
bool add_task_count(PyObject* module);
bool add_cells(PyObject* module);
bool add_frames(PyObject* module);
bool add_elements(PyObject* module);
bool add_processes(PyObject* module);
bool add_starts(PyObject* module);
bool add_alone(PyObject* module);
bool add_pool_client(PyObject* module);
bool add_pool_worker(PyObject* module);
bool add_result_line(PyObject* module);

// Adds a heap type made of `spec`; false with an exception set. `into` gets a reference of its own,
// for the life of the process.
bool add_type(PyObject* module, PyType_Spec& spec, PyTypeObject** into = nullptr);

}  // namespace forkful::python
