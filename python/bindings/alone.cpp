// alone(): calls a function as if no Python code had called it.
//
// What `forkful run` runs has no caller that it could see: not by sys._getframe() or inspect, not
// in the place that a warning is told for, and not in what faulthandler prints.
#include "core.hpp"

namespace forkful::python {
namespace {

using Frame = _PyInterpreterFrame*;

// Where the interpreter has the frame that runs: the caller of the next one.
Frame& running_frame(PyThreadState* state) {
#if PY_VERSION_HEX >= 0x030D0000
  return state->current_frame;
#else
  return state->cframe->current_frame;
#endif
}

PyObject* alone(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count < 1) {
    PyErr_SetString(PyExc_TypeError, "alone() takes a function, and its arguments");
    return nullptr;
  }
  // The place is the same afterwards: whatever the call pushes it pops, also when it raises.
  Frame& running = running_frame(PyThreadState_Get());
  const Frame caller = running;
  running = nullptr;
  PyObject* result = PyObject_Vectorcall(arguments[0], arguments + 1,
                                         static_cast<std::size_t>(count - 1), nullptr);
  running = caller;
  return result;
}

PyMethodDef g_functions[] = {{"alone", as_function(alone), METH_FASTCALL,
                              "alone(function, /, *arguments)\n--\n\n"
                              "function(*arguments), whose frame has no caller."},
                             {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_alone(PyObject* module) { return PyModule_AddFunctions(module, g_functions) == 0; }

}  // namespace forkful::python
