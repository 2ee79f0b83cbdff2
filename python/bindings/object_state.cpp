// An object gets its state as pickle's load_build gives it: by its __setstate__(), or else into its
// __dict__ and its slots.
//
// GIL: held, but all of this calls code of classes: a setter, a property, a metaclass. So each key
// and value is held while it is used, though the dict that has it may lose it meanwhile.
#include "object_state.hpp"

#include "attributes.hpp"

namespace forkful::python {
namespace {

// By setattr(), so that slots are set, and properties with a setter as pickle would.
bool set_slots(PyObject* object, PyObject* slots) {
  if (!PyDict_Check(slots)) {
    PyErr_SetString(PyExc_TypeError, "the state of slots is not a dictionary");
    return false;
  }
  Py_ssize_t next = 0;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  while (PyDict_Next(slots, &next, &key, &value) != 0) {
    const Ref keep_key = Ref::borrow(key);
    const Ref keep_value = Ref::borrow(value);
    if (PyObject_SetAttr(object, key, value) != 0) return false;
  }
  return true;
}

}  // namespace

bool set_dict(PyObject* object, PyObject* state) {
  if (!PyDict_Check(state)) {
    PyErr_SetString(PyExc_TypeError, "the state of an object is not a dictionary");
    return false;
  }
  Ref dict(PyObject_GetAttrString(object, "__dict__"));
  if (!dict) return false;
  Py_ssize_t next = 0;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  while (PyDict_Next(state, &next, &key, &value) != 0) {
    // Why interned, as pickle does it: attributes are found fastest by the very str that code asks
    // for, and objects of one class share the names.
    PyObject* name = Py_NewRef(key);
    if (PyUnicode_CheckExact(name)) PyUnicode_InternInPlace(&name);
    const Ref keep_name(name);
    const Ref keep_value = Ref::borrow(value);
    // Not as a dict: a class may have something else as __dict__.
    if (PyObject_SetItem(dict.get(), name, value) != 0) return false;
  }
  return true;
}

// By the object and not by its class, as pickle looks for it: it may be an attribute of its own.
bool find_setter(PyObject* object, Ref& setter) {
  static PyObject* const name = PyUnicode_InternFromString("__setstate__");
  return optional_attribute(object, name, setter);
}

bool give_state(PyObject* object, PyObject* state) {
  Ref setter;
  if (!find_setter(object, setter)) return false;
  // Whatever the state is, also None or a pair: only the setter knows.
  if (setter) return bool(Ref(PyObject_CallOneArg(setter.get(), state)));
  PyObject* slots = nullptr;
  if (PyTuple_Check(state) && PyTuple_GET_SIZE(state) == 2) {
    slots = PyTuple_GET_ITEM(state, 1);
    state = PyTuple_GET_ITEM(state, 0);
  }
  if (state != Py_None && !set_dict(object, state)) return false;
  return slots == nullptr || slots == Py_None || set_slots(object, slots);
}

}  // namespace forkful::python
