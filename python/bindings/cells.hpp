// Cell, as the other files of the module see it.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace forkful::python {

// Python's objects of this type and its subclasses are Wrapped<bytes::Cell>.
extern PyTypeObject* g_cell_type;

}  // namespace forkful::python
