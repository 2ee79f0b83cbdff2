// The extension module itself, and what its files share: who runs signal handlers, how the GIL is
// given away.
//
// The module is initialised in several phases and cannot be made twice: one engine in a process
// has one table of Python's types and functions.
#include "core.hpp"

#include <forkful/bytes/around_wait.hpp>

#include "remedies.hpp"

namespace forkful::python {
namespace {

// Python's own answer is not in its public C API. A child that is forked in another thread has that
// one as its main thread, so it is noted anew there.
unsigned long g_main_thread;

PyObject* note_main_thread(PyObject*, PyObject*) {
  g_main_thread = PyThread_get_thread_ident();
  Py_RETURN_NONE;
}

PyMethodDef g_functions[] = {
    {"note_main_thread", note_main_thread, METH_NOARGS,
     "note_main_thread()\n--\n\n"
     "Say that this thread runs signal handlers (call at import and in a forked child)."},
    {nullptr, nullptr, 0, nullptr}};

// There is one engine in a process, and it calls one interpreter: what would be left of another
// one's pickler, or of its types, when that interpreter ends?
PyObject* g_module;

PyObject* create(PyObject* spec, PyModuleDef*) {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError,
                    "forkful cannot be imported in a subinterpreter: import it in the main "
                    "interpreter of the process, or start a process");
    return nullptr;
  }
  // Imported anew by a program that has emptied sys.modules: types and exceptions stay the same.
  if (g_module != nullptr) return Py_NewRef(g_module);
  Ref name(PyObject_GetAttrString(spec, "name"));
  return name ? PyModule_NewObject(name.get()) : nullptr;
}

// Whether this thread has the GIL now. The current thread state alone says only that somebody has
// it; the engine may ask in a thread that Python does not know, or after a GilWait has begun.
bool holds_interpreter() {
#if PY_VERSION_HEX >= 0x030d0000
  PyThreadState* now = PyThreadState_GetUnchecked();
#else
  PyThreadState* now = _PyThreadState_UncheckedGet();
#endif
  return now != nullptr && now == PyGILState_GetThisThreadState();
}

// For calls of the engine that take no Wait, among them those of destructors. Signal handlers do
// not run then: such a call could not be left.
constexpr bytes::AroundWait kAroundWait{
    []() noexcept -> void* { return holds_interpreter() ? PyEval_SaveThread() : nullptr; },
    [](void* begun) noexcept {
      if (begun != nullptr) PyEval_RestoreThread(static_cast<PyThreadState*>(begun));
    }};

// The order matters: elements look for the type of cells, and all raise what add_errors() makes.
int execute(PyObject* module) {
  if (g_module != nullptr) return 0;
  bytes::set_around_wait(kAroundWait);
  g_main_thread = PyThread_get_thread_ident();
  for (const auto add :
       {add_errors, add_remedies, add_values, add_own_methods, add_locks, add_condition,
        add_barrier, add_queue, add_queue_ends, add_task_count, add_cells, add_elements, add_frames,
        add_processes, add_starts, add_alone, add_pool_client, add_pool_worker, add_result_line}) {
    if (!add(module)) return -1;
  }
  if (PyModule_AddStringConstant(module, "__version__", FORKFUL_VERSION) != 0) return -1;
  g_module = Py_NewRef(module);
  return 0;
}

PyModuleDef_Slot g_slots[] = {
    {Py_mod_create, reinterpret_cast<void*>(create)},
    {Py_mod_exec, reinterpret_cast<void*>(execute)},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, nullptr}};

PyModuleDef g_definition = {PyModuleDef_HEAD_INIT,
                            "forkful._core",
                            "The engine of forkful. Private: use the modules of forkful.",
                            0,
                            g_functions,
                            g_slots,
                            nullptr,
                            nullptr,
                            nullptr};

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

void raise_unmade(PyObject* self) {
  PyErr_Format(PyExc_RuntimeError,
               "%s.__init__() has not run: a subclass calls super().__init__() in its own",
               Py_TYPE(self)->tp_name);
  throw PythonError();
}

// What is given back in `into` is a reference, which lasts as long as the process.
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

}  // namespace forkful::python

PyMODINIT_FUNC PyInit__core() { return PyModuleDef_Init(&forkful::python::g_definition); }
