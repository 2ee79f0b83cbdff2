// Cell: shared memory with the buffer protocol. Scalar: one number in it, with a lock around.
//
// Values, RawValues and their ctypes views stand on these (python/forkful/sharedctypes.py). A
// Scalar is a Value of one number without ctypes: reading it is taking the lock, a copy of up to 16
// bytes, and releasing it.
//
// Memory: a cell's lasts as long as anybody holds the cell. A view that a program keeps refers to
//         the Cell object, and so is good.
// GIL:    given away while the lock is waited for. What other processes see it does not guard; the
//         lock does.
// Death:  a process that dies with the lock held leaves the number as it is; see guard.hpp.
#include "cells.hpp"

#include <algorithm>
#include <cstring>
#include <forkful/bytes/cell.hpp>
#include <functional>

#include "core.hpp"
#include "guard.hpp"
#include "label.hpp"
#include "numbers.hpp"

namespace forkful::python {

PyTypeObject* g_cell_type;

namespace {

using bytes::Cell;

// A number's own memory: all that ctypes' objects of up to 8 bytes need.
constexpr std::size_t kLeastCell = 8;

// Cell(size, name=None)
int init_cell(PyObject* self, PyObject* args, PyObject*) {
  Py_ssize_t size = 0;
  PyObject* name = nullptr;
  Label label;
  if (!PyArg_ParseTuple(args, "n|O:Cell", &size, &name) || !parse_label(name, label)) return -1;
  if (size < 0) {
    PyErr_Format(PyExc_ValueError, "a shared block has 0 or more bytes, not %zd", size);
    return -1;
  }
  return guarded_init([&] {
    Wrapped<Cell>::set(self, Cell::create(static_cast<std::size_t>(size), label));
    return true;
  });
}

// Writable, and of any number of views at a time: other processes write there in any case.
int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  return guarded_init([&] {
    const auto memory = Wrapped<Cell>::of(self).memory();
    return PyBuffer_FillInfo(view, self, memory.data(), static_cast<Py_ssize_t>(memory.size()), 0,
                             flags) == 0;
  });
}

PyObject* get_address(PyObject* self, void*) {
  return guarded([&] { return PyLong_FromVoidPtr(Wrapped<Cell>::of(self).memory().data()); });
}

PyMethodDef g_cell_methods[] = {
    {"__getstate__", Wrapped<Cell>::getstate, METH_NOARGS,
     "__getstate__($self, /)\n--\n\nNames the cell for relatives."},
    {"__setstate__", Wrapped<Cell>::setstate, METH_O,
     "__setstate__($self, state, /)\n--\n\nBecomes the cell that was named."},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef g_cell_attributes[] = {
    label_attribute<Cell>,
    {"_address", get_address, nullptr, "Where this process has its memory.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot g_cell_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(Wrapped<Cell>::blank)},
    {Py_tp_init, reinterpret_cast<void*>(init_cell)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Wrapped<Cell>::dealloc)},
    {Py_tp_methods, g_cell_methods},
    {Py_tp_getset, g_cell_attributes},
    {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
    {Py_tp_doc, const_cast<char*>("Cell(size, name=None, /)\n--\n\nZeroed shared memory.")},
    {0, nullptr}};
PyType_Spec g_cell_spec{"forkful._core.Cell", sizeof(Wrapped<Cell>), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_cell_slots};

struct Scalar {
  PyObject_HEAD PyObject* cell;
  Guard guard;
  std::byte* at;  // nullptr until __init__() has run
  char typecode;  // as numbers.hpp has them
};

Scalar* scalar_of(PyObject* self) { return reinterpret_cast<Scalar*>(self); }

// Throws PythonError where __init__() has not run.
Scalar* made_scalar(PyObject* self) {
  if (scalar_of(self)->at == nullptr) [[unlikely]]
    raise_unmade(self);
  return scalar_of(self);
}

PyObject* get_value(PyObject* self, void*) {
  return guarded([&]() -> PyObject* {
    Scalar* scalar = made_scalar(self);
    if (!scalar->guard.acquire("a Value")) return nullptr;
    PyObject* value = read_number(scalar->typecode, scalar->at);
    if (!scalar->guard.release()) Py_CLEAR(value);
    return value;
  });
}

int set_value(PyObject* self, PyObject* value, void*) {
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "a Value's value cannot be deleted");
    return -1;
  }
  return guarded_init([&] {
    Scalar* scalar = made_scalar(self);
    // Before the lock is taken: converting may run anything, also what wants this lock.
    RawNumber raw;
    if (!raw.convert(scalar->typecode, value) || !scalar->guard.acquire("a Value")) return false;
    raw.store(scalar->at);
    return scalar->guard.release();
  });
}

// --- changes in one step ---

// Bits that the typecode has not are cut off: so integers of all sizes, with a sign and without,
// are added in the same way.
std::uint64_t bits_of(const std::byte* at, std::size_t size) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, at, size);  // the lowest bytes come first; see RawNumber
  return bits;
}

// Throws PythonError.
Scalar* made_integer(PyObject* self, const char* method) {
  Scalar* scalar = made_scalar(self);
  if (std::strchr("bBhHiIlLqQ", scalar->typecode) != nullptr) return scalar;
  PyErr_Format(PyExc_TypeError,
               "%s() is for Values of integers, and this one has typecode '%c': change its value "
               "inside 'with v.get_lock():'",
               method, scalar->typecode);
  throw PythonError();
}

// Returns what the number was. The lock is held between reading and writing, so nothing is lost of
// what others do who hold it. `combine` says what comes of the number and of the operand.
template <class Combine>
PyObject* change(PyObject* self, PyObject* operand, const char* method, Combine combine) {
  return guarded([&]() -> PyObject* {
    Scalar* scalar = made_integer(self, method);
    RawNumber raw;  // converted before the lock is taken, as in set_value()
    if (!raw.convert(scalar->typecode, operand) || !scalar->guard.acquire("a Value"))
      return nullptr;
    const std::size_t size = size_of_number(scalar->typecode);
    PyObject* was = read_number(scalar->typecode, scalar->at);
    if (was != nullptr) {
      const std::uint64_t now = combine(bits_of(scalar->at, size), raw.bits());
      std::memcpy(scalar->at, &now, size);
    }
    if (!scalar->guard.release()) Py_CLEAR(was);
    return was;
  });
}

PyObject* fetch_add(PyObject* self, PyObject* number) {
  return change(self, number, "fetch_add", std::plus<std::uint64_t>());
}
PyObject* fetch_sub(PyObject* self, PyObject* number) {
  return change(self, number, "fetch_sub", std::minus<std::uint64_t>());
}
PyObject* exchange(PyObject* self, PyObject* number) {
  const auto other = [](std::uint64_t, std::uint64_t operand) { return operand; };
  return change(self, number, "exchange", other);
}

PyObject* compare_exchange(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    return PyErr_Format(PyExc_TypeError,
                        "compare_exchange() takes what the number is expected to be and what it is "
                        "to become (%zd arguments given)",
                        count);
  }
  return guarded([&]() -> PyObject* {
    Scalar* scalar = made_integer(self, "compare_exchange");
    RawNumber expected;
    RawNumber desired;
    if (!expected.convert(scalar->typecode, args[0]) ||
        !desired.convert(scalar->typecode, args[1]) || !scalar->guard.acquire("a Value"))
      return nullptr;
    const bool equal = expected.equals(scalar->at);
    if (equal) desired.store(scalar->at);
    return scalar->guard.release() ? PyBool_FromLong(equal) : nullptr;
  });
}

// What is the same for all of them.
#define IN_ONE_STEP                                                                                \
  "One step beside all who change the Value by its methods, by `value = ...` or with get_lock()\n" \
  "held: for a moment the lock is held here, too, and a call waits while another has it. Not\n"    \
  "beside those who write through get_obj() without the lock. Too large a number wraps, as in\n"   \
  "ctypes. (Not in multiprocessing.)\n\n"
#define STEP_RAISES                                                                             \
  "Raises:\n"                                                                                   \
  "    TypeError: The Value is of no integer type (b B h H i I l L q Q), or what is given is\n" \
  "        none. Change such a Value inside `with v.get_lock():`.\n"                            \
  "    LockOwnerDied: As value has it; nothing has changed."

PyMethodDef g_scalar_methods[] = {
    {"fetch_add", fetch_add, METH_O,
     "fetch_add($self, number, /)\n--\n\n"
     "Add a number in one step; returns what the value was before.\n\n" IN_ONE_STEP STEP_RAISES},
    {"fetch_sub", fetch_sub, METH_O,
     "fetch_sub($self, number, /)\n--\n\n"
     "Subtract a number in one step; returns what the value was before.\n\n" IN_ONE_STEP
         STEP_RAISES},
    {"exchange", exchange, METH_O,
     "exchange($self, number, /)\n--\n\n"
     "Put another number in its place in one step; returns what the value was "
     "before.\n\n" IN_ONE_STEP STEP_RAISES},
    {"compare_exchange", as_function(compare_exchange), METH_FASTCALL,
     "compare_exchange($self, expected, desired, /)\n--\n\n"
     "Become `desired` in one step if the value is `expected`.\n\n"
     "True: it was, and is changed. False: it was another, and nothing has changed.\n" IN_ONE_STEP
         STEP_RAISES},
    {nullptr, nullptr, 0, nullptr}};

PyObject* new_scalar(PyTypeObject* type, PyObject*, PyObject*) { return type->tp_alloc(type, 0); }

// Scalar(typecode, lock, cell=None, name=None)
int init_scalar(PyObject* self, PyObject* args, PyObject*) {
  const char* typecode = nullptr;
  PyObject* lock = nullptr;
  PyObject* cell = Py_None;
  PyObject* name = Py_None;
  if (!PyArg_ParseTuple(args, "sO|OO:Scalar", &typecode, &lock, &cell, &name)) return -1;
  if (cell != Py_None && !PyObject_TypeCheck(cell, g_cell_type)) {
    PyErr_SetString(PyExc_TypeError, "a Value's memory is a Cell or None");
    return -1;
  }
  const std::size_t size = typecode[0] != 0 && typecode[1] == 0 ? size_of_number(typecode[0]) : 0;
  if (size == 0) {
    PyErr_Format(PyExc_TypeError, "no such typecode: '%s' (one of c u b B h H i I l L q Q f d)",
                 typecode);
    return -1;
  }
  Scalar* scalar = scalar_of(self);
  if (scalar->at != nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "a Value is made once: another thread may be using it");
    return -1;
  }
  Ref own =
      cell != Py_None
          ? Ref::borrow(cell)
          : Ref(PyObject_CallFunction(reinterpret_cast<PyObject*>(g_cell_type), "nO",
                                      static_cast<Py_ssize_t>(std::max(size, kLeastCell)), name));
  if (!own) return -1;
  return guarded_init([&] {
    const auto memory = Wrapped<Cell>::of(own.get()).memory();
    if (memory.size() < size) {
      PyErr_SetString(PyExc_ValueError, "the cell is too small for the typecode");
      return false;
    }
    if (!scalar->guard.set(lock)) return false;
    scalar->cell = own.release();
    scalar->typecode = typecode[0];
    scalar->at = memory.data();
    return true;
  });
}

void dealloc_scalar(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_CLEAR(scalar_of(self)->cell);
  scalar_of(self)->guard.clear();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* get_cell(PyObject* self, void*) {
  return guarded([&] { return Py_NewRef(made_scalar(self)->cell); });
}
PyObject* get_lock(PyObject* self, void*) {
  return guarded([&] { return Py_NewRef(made_scalar(self)->guard.lock()); });
}
PyObject* get_typecode(PyObject* self, void*) {
  return guarded([&] { return PyUnicode_FromStringAndSize(&made_scalar(self)->typecode, 1); });
}

PyGetSetDef g_scalar_attributes[] = {
    {"value", get_value, set_value, "The number, read or written with the lock held.", nullptr},
    {"_cell", get_cell, nullptr, "Its memory.", nullptr},
    {"_lock", get_lock, nullptr, "Its lock, or None.", nullptr},
    {"_typecode", get_typecode, nullptr, "Its type.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot g_scalar_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_scalar)},
    {Py_tp_init, reinterpret_cast<void*>(init_scalar)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_scalar)},
    {Py_tp_methods, g_scalar_methods},
    {Py_tp_getset, g_scalar_attributes},
    {Py_tp_doc, const_cast<char*>(
                    "Scalar(typecode, lock, cell=None, name=None, /)\n--\n\nOne shared number.")},
    {0, nullptr}};
PyType_Spec g_scalar_spec{"forkful._core.Scalar", sizeof(Scalar), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_scalar_slots};

}  // namespace

bool add_cells(PyObject* module) {
  return add_type(module, g_cell_spec, &g_cell_type) && add_type(module, g_scalar_spec);
}

}  // namespace forkful::python
