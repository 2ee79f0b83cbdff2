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
// Death:  a process that dies with the lock held leaves the number as it is; see lock().
#include <algorithm>
#include <cstring>
#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/lock.hpp>

#include "core.hpp"
#include "label.hpp"

namespace forkful::python {
namespace {

using bytes::Cell;

PyTypeObject* g_rlock_type;

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

PyMethodDef g_cell_methods[] = {
    {"__getstate__", Wrapped<Cell>::getstate, METH_NOARGS,
     "__getstate__($self, /)\n--\n\nNames the cell for relatives."},
    {"__setstate__", Wrapped<Cell>::setstate, METH_O,
     "__setstate__($self, state, /)\n--\n\nBecomes the cell that was named."},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef g_cell_attributes[] = {label_attribute<Cell>,
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
PyTypeObject* g_cell_type;

struct Scalar {
  PyObject_HEAD PyObject* cell;
  PyObject* lock;         // None, or anything with acquire() and release()
  bytes::RawRLock* fast;  // the lock, where it is an RLock of ours
  std::byte* at;          // nullptr until __init__() has run
  char typecode;          // those of the array module, and ctypes' '?' (bool) and 'g' (long double)
};

// `fast` lies within the object that `lock` refers to, and so lives as long. It spares the look-up
// and the call of two methods for each access.
Scalar* scalar_of(PyObject* self) { return reinterpret_cast<Scalar*>(self); }

// Throws PythonError where __init__() has not run.
Scalar* made_scalar(PyObject* self) {
  if (scalar_of(self)->at == nullptr) [[unlikely]]
    raise_unmade(self);
  return scalar_of(self);
}

// By memcpy, since a cell that was handed in need not be aligned for the type. A compiler makes one
// load of it.
template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Requires: the lock is held, where there is one. No code of anybody runs in here, so the lock is
// held for a moment only.
PyObject* read(const Scalar* self) {
  switch (self->typecode) {
    case 'c':
      return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(self->at), 1);
    case 'u': {
      const auto character = load<wchar_t>(self->at);
      return PyUnicode_FromWideChar(&character, 1);
    }
    case 'b':
      return PyLong_FromLong(load<signed char>(self->at));
    case 'B':
      return PyLong_FromLong(load<unsigned char>(self->at));
    case 'h':
      return PyLong_FromLong(load<short>(self->at));
    case 'H':
      return PyLong_FromLong(load<unsigned short>(self->at));
    case 'i':
      return PyLong_FromLong(load<int>(self->at));
    case 'I':
      return PyLong_FromUnsignedLong(load<unsigned>(self->at));
    case 'l':
      return PyLong_FromLong(load<long>(self->at));
    case 'L':
      return PyLong_FromUnsignedLong(load<unsigned long>(self->at));
    case 'q':
      return PyLong_FromLongLong(load<long long>(self->at));
    case 'Q':
      return PyLong_FromUnsignedLongLong(load<unsigned long long>(self->at));
    case 'f':
      return PyFloat_FromDouble(load<float>(self->at));
    case 'g':
      return PyFloat_FromDouble(static_cast<double>(load<long double>(self->at)));
    case '?':
      return PyBool_FromLong(load<unsigned char>(self->at));
    default:
      return PyFloat_FromDouble(load<double>(self->at));
  }
}

// 0: no such typecode. The sizes are those of ctypes on 64-bit Linux.
std::size_t size_of(char typecode) {
  switch (typecode) {
    case '?':
    case 'c':
    case 'b':
    case 'B':
      return 1;
    case 'h':
    case 'H':
      return 2;
    case 'i':
    case 'I':
    case 'f':
    case 'u':
      return 4;
    case 'l':
    case 'L':
    case 'q':
    case 'Q':
    case 'd':
      return 8;
    case 'g':
      return sizeof(long double);
    default:
      return 0;
  }
}

// A value as the bytes of a typecode.
class Raw {
 public:
  // False with an exception set where `value` is none of the typecode's.
  bool convert(char typecode, PyObject* value);
  void store(std::byte* at) const { std::memcpy(at, bytes_, size_); }

 private:
  // The lowest bytes of an integer come first on the machines that there are, so store() writes
  // those that the typecode has.
  template <class T>
  bool hold(T value) {
    static_assert(sizeof value <= sizeof bytes_);
    std::memcpy(bytes_, &value, sizeof value);
    return true;
  }
  bool convert_char(PyObject* value);
  bool convert_text(PyObject* value);
  bool convert_float(char typecode, PyObject* value);
  bool convert_int(char typecode, PyObject* value);

  std::size_t size_ = 0;
  std::byte bytes_[sizeof(long double)];
};

bool Raw::convert(char typecode, PyObject* value) {
  size_ = size_of(typecode);
  switch (typecode) {
    case 'c':
      return convert_char(value);
    case 'u':
      return convert_text(value);
    case 'f':
    case 'd':
    case 'g':
      return convert_float(typecode, value);
    case '?': {
      const int truth = PyObject_IsTrue(value);
      return truth >= 0 && hold(static_cast<unsigned char>(truth));
    }
    default:
      return convert_int(typecode, value);
  }
}

bool Raw::convert_char(PyObject* value) {
  if (PyBytes_Check(value) && PyBytes_GET_SIZE(value) == 1)
    return hold(PyBytes_AS_STRING(value)[0]);
  if (PyByteArray_Check(value) && PyByteArray_GET_SIZE(value) == 1) {
    return hold(PyByteArray_AS_STRING(value)[0]);
  }
  if (PyLong_Check(value)) {
    int overflow = 0;
    const long code = PyLong_AsLongAndOverflow(value, &overflow);
    if (overflow == 0 && code >= 0 && code <= 255) return hold(static_cast<unsigned char>(code));
  }
  PyErr_Format(PyExc_TypeError,
               "one character expected: bytes or a bytearray of length 1, or an integer from 0 to "
               "255, not %R",
               value);
  return false;
}

bool Raw::convert_text(PyObject* value) {
  wchar_t text[2];
  if (PyUnicode_Check(value) && PyUnicode_GetLength(value) == 1 &&
      PyUnicode_AsWideChar(value, text, 2) == 1) {
    return hold(text[0]);
  }
  if (!PyErr_Occurred()) PyErr_Format(PyExc_TypeError, "one character expected, not %R", value);
  return false;
}

bool Raw::convert_float(char typecode, PyObject* value) {
  const double number = PyFloat_AsDouble(value);
  if (number == -1.0 && PyErr_Occurred()) return false;
  if (typecode == 'f') return hold(static_cast<float>(number));
  if (typecode == 'd') return hold(number);
  return hold(static_cast<long double>(number));
}

bool Raw::convert_int(char typecode, PyObject* value) {
  if (!PyIndex_Check(value)) {
    PyErr_Format(PyExc_TypeError, "an integer is required for typecode '%c', not %R", typecode,
                 value);
    return false;
  }
  // Too large a number wraps, as in ctypes.
  const unsigned long long number = PyLong_AsUnsignedLongLongMask(value);
  return (number != ~0ull || !PyErr_Occurred()) && hold(number);
}

// False with an exception set; the lock is not held then.
bool lock(Scalar* self) {
  if (self->fast == nullptr) {
    if (self->lock == Py_None) return true;
    Ref done(PyObject_CallMethod(self->lock, "acquire", nullptr));
    return bool(done);
  }
  GilWait wait;
  switch (self->fast->acquire(wait)) {
    case bytes::Acquired::yes:
      return true;
    case bytes::Acquired::owner_died:
      PyErr_Format(g_lock_owner_died,
                   "the process that held the %s of a Value died while holding it; "
                   "get_lock().recover() takes the lock, and the value is as that process left it",
                   self->fast->called("lock").c_str());
      return false;
    default:
      return false;
  }
}

// An exception that is set stays the one that is set: it is why there is no value.
bool unlock(Scalar* self) {
  if (self->fast != nullptr) return self->fast->release();
  if (self->lock == Py_None) return true;
  const ErrorKept kept;  // the lock's method is anybody's code
  Ref done(PyObject_CallMethod(self->lock, "release", nullptr));
  return bool(done);
}

PyObject* get_value(PyObject* self, void*) {
  return guarded([&]() -> PyObject* {
    Scalar* scalar = made_scalar(self);
    if (!lock(scalar)) return nullptr;
    PyObject* value = read(scalar);
    if (!unlock(scalar)) Py_CLEAR(value);
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
    Raw raw;
    if (!raw.convert(scalar->typecode, value) || !lock(scalar)) return false;
    raw.store(scalar->at);
    return unlock(scalar);
  });
}

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
  const std::size_t size = typecode[0] != 0 && typecode[1] == 0 ? size_of(typecode[0]) : 0;
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
    scalar->fast =
        PyObject_TypeCheck(lock, g_rlock_type) ? &Wrapped<bytes::RawRLock>::of(lock) : nullptr;
    scalar->cell = own.release();
    scalar->lock = Py_NewRef(lock);
    scalar->typecode = typecode[0];
    scalar->at = memory.data();
    return true;
  });
}

void dealloc_scalar(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_CLEAR(scalar_of(self)->cell);
  Py_CLEAR(scalar_of(self)->lock);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* get_cell(PyObject* self, void*) {
  return guarded([&] { return Py_NewRef(made_scalar(self)->cell); });
}
PyObject* get_lock(PyObject* self, void*) {
  return guarded([&] { return Py_NewRef(made_scalar(self)->lock); });
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
    {Py_tp_getset, g_scalar_attributes},
    {Py_tp_doc, const_cast<char*>(
                    "Scalar(typecode, lock, cell=None, name=None, /)\n--\n\nOne shared number.")},
    {0, nullptr}};
PyType_Spec g_scalar_spec{"forkful._core.Scalar", sizeof(Scalar), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_scalar_slots};

}  // namespace

bool add_cells(PyObject* module) {
  g_rlock_type = reinterpret_cast<PyTypeObject*>(PyObject_GetAttrString(module, "RLock"));
  return g_rlock_type != nullptr && add_type(module, g_cell_spec, &g_cell_type) &&
         add_type(module, g_scalar_spec);
}

}  // namespace forkful::python
