// Python exceptions out of C++ ones, and the exceptions that forkful adds.
//
// GIL: held, for everything here. An exception that is set is the thread's own, but most calls of
//      the C API must not be made while one is: whoever goes on working takes it (take_error()) and
//      gives it back.
#include "errors.hpp"

#include <forkful/errors.hpp>
#include <new>
#include <stdexcept>
#include <string>

namespace forkful::python {

// A reference each, for as long as the process lives: code may raise them until the very end.
PyObject* g_lock_owner_died;
PyObject* g_shut_down;
PyObject* g_layout_mismatch;
PyObject* g_timeout_error;

namespace {

bool new_error(PyObject* module, const char* name, const char* doc, PyObject* base,
               PyObject** into) {
  const std::string full = std::string("forkful.") + name;
  *into = PyErr_NewExceptionWithDoc(full.c_str(), doc, base, nullptr);
  return *into != nullptr && PyModule_AddObjectRef(module, name, *into) == 0;
}

}  // namespace

// The order matters: what derives from another one comes before it. Each is the nearest class that
// Python's users know. An OSError is made from (errno, text), so that the right subclass of it
// comes out. In Python 3.11 that happens where the exception is first looked at: until then the
// type that is set is OSError.
PyObject* raise_current() {
  try {
    throw;
  } catch (const PythonError&) {
    // The Python exception is set already.
    return nullptr;
  } catch (const OsError& error) {
    Ref args(Py_BuildValue("is", error.error(), error.what()));
    if (args) PyErr_SetObject(PyExc_OSError, args.get());
  } catch (const LockOwnerDied& error) {
    PyErr_SetString(g_lock_owner_died, error.what());
  } catch (const ShutDown& error) {
    PyErr_SetString(g_shut_down, error.what());
  } catch (const LayoutMismatch& error) {
    PyErr_SetString(g_layout_mismatch, error.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

// As one object: from Python 3.12 on there is no other form, and the three parts of 3.11 are put
// together here, the traceback in its place. Null where none is set.
Ref take_error() {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != nullptr) PyException_SetTraceback(value, trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return Ref(value);
}

void give_back_error(Ref error) {
  PyObject* value = error.release();
  PyErr_Restore(Py_NewRef(Py_TYPE(value)), value, PyException_GetTraceback(value));
}

// A note is a help and no more: where it cannot be added, the exception is as it was.
void add_note(const std::string& text) {
  Ref error = take_error();
  Ref done(PyObject_CallMethod(error.get(), "add_note", "s", text.c_str()));
  if (!done) PyErr_Clear();
  give_back_error(std::move(error));
}

std::string take_text() {
  Ref error = take_error();
  std::string text = Py_TYPE(error.get())->tp_name;
  Ref words(PyObject_Str(error.get()));
  const char* given = words ? PyUnicode_AsUTF8(words.get()) : nullptr;
  if (given == nullptr) PyErr_Clear();
  return given != nullptr ? text + ": " + given : text;
}

PyObject* raise_of_queue(const char* name) {
  Ref queue(PyImport_ImportModule("queue"));
  Ref error(queue ? PyObject_GetAttrString(queue.get(), name) : nullptr);
  if (error) PyErr_SetNone(error.get());
  return nullptr;
}

bool add_errors(PyObject* module) {
  // The classes that multiprocessing has are under its names and have its bases, so that except
  // clauses of programs catch them.
  PyObject* process_error = nullptr;
  return new_error(module, "ProcessError", "What goes wrong between processes.", PyExc_Exception,
                   &process_error) &&
         new_error(module, "TimeoutError",
                   "A result was not there in time. Its task goes on, unless the time-out was the "
                   "task's own.",
                   process_error, &g_timeout_error) &&
         new_error(
             module, "LockOwnerDied",
             "The lock's owner died while holding it; the lock is not held by the caller, and "
             "what it guards may be half-changed. recover() takes the lock over.",
             PyExc_RuntimeError, &g_lock_owner_died) &&
         new_error(module, "ShutDown", "The queue was shut down.", PyExc_ValueError,
                   &g_shut_down) &&
         new_error(module, "LayoutMismatch",
                   "The family's arena was made by a forkful of another memory layout.",
                   PyExc_RuntimeError, &g_layout_mismatch);
}

}  // namespace forkful::python
