// The state of an object that was read: what pickle's protocol says of __setstate__(), __dict__ and
// __slots__.
#pragma once

#include "core.hpp"

namespace forkful::python {

// The object's __setstate__(), or null in `setter` where it has none. False with an exception set.
bool find_setter(PyObject* object, Ref& setter);
// Puts the items of `state` into the object's __dict__. False with an exception set, which may
// leave some of them there.
bool set_dict(PyObject* object, PyObject* state);
// What comes after an object's state in a message: its setter's, or a dict, or a pair of one for
// __dict__ and one for slots, as object.__reduce_ex__() makes them. False likewise.
bool give_state(PyObject* object, PyObject* state);

}  // namespace forkful::python
