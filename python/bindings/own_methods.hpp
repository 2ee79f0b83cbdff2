// Methods of C that classes in Python have as their own, and how to know them.
#pragma once

#include "core.hpp"

namespace forkful::python {

// The method that a class's attribute is, nullptr for an attribute that is no method of C.
// Two classes have the same method where this is equal: the attributes may differ.
PyMethodDef* method_in(PyObject* descriptor);

}  // namespace forkful::python
