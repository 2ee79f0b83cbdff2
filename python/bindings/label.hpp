// What an object that is being made is called: see forkful/label.hpp.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <forkful/label.hpp>

namespace forkful::python {

// `name`, a str; where that is None or nullptr, the line of the program that makes the object: the
// first one on the stack that is not in a module of ours. False with an exception set where `name`
// is something else.
bool parse_label(PyObject* name, Label& label);

}  // namespace forkful::python
