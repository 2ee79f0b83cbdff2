#include "core.hpp"

#include <cmath>
#include <stdexcept>

namespace forkful::python {

PyObject* g_lock_owner_died;
PyObject* g_shut_down;
PyObject* g_layout_mismatch;
PyObject* g_timeout_error;
PyObject* g_empty;
PyObject* g_full;

namespace {

unsigned long g_main_thread;

PyObject* note_main_thread(PyObject*, PyObject*) {
  g_main_thread = PyThread_get_thread_ident();
  Py_RETURN_NONE;
}

PyMethodDef g_functions[] = {
    {"note_main_thread", note_main_thread, METH_NOARGS,
     "Say that this thread runs signal handlers (call at import and in a forked child)."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef g_module = {PyModuleDef_HEAD_INIT,
                        "forkful._core",
                        "The engine of forkful. Private: use the modules of forkful.",
                        -1,
                        g_functions,
                        nullptr,
                        nullptr,
                        nullptr,
                        nullptr};

bool new_error(PyObject* module, const char* name, const char* doc, PyObject* base,
               PyObject** into) {
  const std::string full = std::string("forkful.") + name;
  *into = PyErr_NewExceptionWithDoc(full.c_str(), doc, base, nullptr);
  return *into != nullptr && PyModule_AddObjectRef(module, name, *into) == 0;
}

}  // namespace

bool is_main_thread() { return PyThread_get_thread_ident() == g_main_thread; }

bool GilWait::interrupted(bool signalled) noexcept {
  // Only the main thread runs handlers. A signal may also arrive just before the sleep, and is
  // then noticed at the end of a slice.
  if (!signalled && !is_main_thread()) return false;
  PyEval_RestoreThread(state_);
  const bool stop = PyErr_CheckSignals() != 0;
  state_ = PyEval_SaveThread();
  return stop;
}

bool to_deadline(PyObject* block, PyObject* timeout, Deadline& deadline) {
  deadline = Deadline::never();
  if (block != nullptr && block != Py_True) {
    const int blocks = PyObject_IsTrue(block);
    if (blocks < 0) return false;
    if (blocks == 0) {
      deadline = Deadline::poll();
      return true;
    }
  }
  if (timeout == nullptr || timeout == Py_None) return true;
  const double seconds = PyFloat_AsDouble(timeout);
  if (seconds == -1.0 && PyErr_Occurred()) return false;
  if (std::isnan(seconds)) {
    PyErr_SetString(PyExc_ValueError, "timeout must be a number of seconds, not nan");
    return false;
  }
  constexpr double kMostSeconds = 9e9;
  deadline = seconds <= 0 ? Deadline::poll()
             : seconds > kMostSeconds
                 ? Deadline::never()
                 : Deadline::in(std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)));
  return true;
}

PyObject* raise_current() {
  try {
    throw;
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

bool add_type(PyObject* module, PyType_Spec& spec, PyTypeObject** into) {
  PyObject* type = PyType_FromSpec(&spec);
  if (type == nullptr) return false;
  const bool added = PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type)) == 0;
  if (into != nullptr) {
    *into = reinterpret_cast<PyTypeObject*>(type);
  } else {
    Py_DECREF(type);
  }
  return added;
}

bool add_errors(PyObject* module) {
  g_main_thread = PyThread_get_thread_ident();
  PyObject* process_error = nullptr;
  Ref queue(PyImport_ImportModule("queue"));
  if (!queue) return false;
  g_empty = PyObject_GetAttrString(queue.get(), "Empty");
  g_full = PyObject_GetAttrString(queue.get(), "Full");
  return g_empty != nullptr && g_full != nullptr &&
         new_error(module, "ProcessError", "What goes wrong between processes.", PyExc_Exception,
                   &process_error) &&
         new_error(module, "TimeoutError", "A result was not there in time; its task goes on.",
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

PyMODINIT_FUNC PyInit__core() {
  using namespace forkful::python;
  PyObject* module = PyModule_Create(&g_module);
  if (module == nullptr) return nullptr;
  for (const auto add : {add_errors, add_values, add_locks, add_queue, add_cells, add_processes,
                         add_pool_client, add_pool_worker}) {
    if (!add(module)) {
      Py_DECREF(module);
      return nullptr;
    }
  }
  return module;
}
