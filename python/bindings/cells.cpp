// Cell: shared memory with the buffer protocol. Scalar: one number in it, with a lock around.
#include <cstring>
#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/lock.hpp>

#include "core.hpp"

namespace forkful::python {
namespace {

using bytes::Cell;

PyTypeObject* g_rlock_type;

PyObject* new_cell(PyTypeObject* type, PyObject* args, PyObject*) {
  Py_ssize_t size = 0;
  if (!PyArg_ParseTuple(args, "n:Cell", &size)) return nullptr;
  if (size < 0) {
    PyErr_Format(PyExc_ValueError, "a shared block has 0 or more bytes, not %zd", size);
    return nullptr;
  }
  return guarded(
      [&] { return Wrapped<Cell>::make(type, Cell::create(static_cast<std::size_t>(size))); });
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const auto memory = Wrapped<Cell>::of(self).memory();
  return PyBuffer_FillInfo(view, self, memory.data(), static_cast<Py_ssize_t>(memory.size()), 0,
                           flags);
}

PyMethodDef g_cell_methods[] = {
    {"name", Wrapped<Cell>::name, METH_NOARGS, "(offset, serial): for adopt() in a relative."},
    {"adopt", Wrapped<Cell>::adopt, METH_VARARGS | METH_CLASS, "The cell that name() named."},
    {nullptr, nullptr, 0, nullptr}};
PyType_Slot g_cell_slots[] = {{Py_tp_new, reinterpret_cast<void*>(new_cell)},
                              {Py_tp_dealloc, reinterpret_cast<void*>(Wrapped<Cell>::dealloc)},
                              {Py_tp_methods, g_cell_methods},
                              {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
                              {Py_tp_doc, const_cast<char*>("Cell(size): zeroed shared memory")},
                              {0, nullptr}};
PyType_Spec g_cell_spec{"forkful._core.Cell", sizeof(Wrapped<Cell>), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_cell_slots};
PyTypeObject* g_cell_type;

struct Scalar {
  PyObject_HEAD PyObject* cell;
  PyObject* lock;         // None, or anything with acquire() and release()
  bytes::RawRLock* fast;  // the lock, where it is an RLock of ours
  std::byte* at;
  char typecode;
};

Scalar* scalar_of(PyObject* self) { return reinterpret_cast<Scalar*>(self); }

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

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
    default:
      return PyFloat_FromDouble(load<double>(self->at));
  }
}

int size_of(char typecode) {
  switch (typecode) {
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
    default:
      return 0;
  }
}

int write(Scalar* self, PyObject* value) {
  switch (self->typecode) {
    case 'c':
      if (!PyBytes_Check(value) || PyBytes_GET_SIZE(value) != 1) {
        PyErr_Format(PyExc_TypeError, "one character expected: b'x', not %R", value);
        return -1;
      }
      std::memcpy(self->at, PyBytes_AS_STRING(value), 1);
      return 0;
    case 'u': {
      wchar_t text[2];
      if (!PyUnicode_Check(value) || PyUnicode_GetLength(value) != 1 ||
          PyUnicode_AsWideChar(value, text, 2) != 1) {
        if (!PyErr_Occurred())
          PyErr_Format(PyExc_TypeError, "one character expected, not %R", value);
        return -1;
      }
      std::memcpy(self->at, text, sizeof text[0]);
      return 0;
    }
    case 'f':
    case 'd': {
      const double number = PyFloat_AsDouble(value);
      if (number == -1.0 && PyErr_Occurred()) return -1;
      if (self->typecode == 'd') {
        std::memcpy(self->at, &number, sizeof number);
      } else {
        const auto narrow = static_cast<float>(number);
        std::memcpy(self->at, &narrow, sizeof narrow);
      }
      return 0;
    }
    default: {
      if (!PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError, "an integer is required for typecode '%c', not %R",
                     self->typecode, value);
        return -1;
      }
      // Too large a number wraps, as in ctypes.
      const unsigned long long number = PyLong_AsUnsignedLongLongMask(value);
      if (number == ~0ull && PyErr_Occurred()) return -1;
      std::memcpy(self->at, &number, static_cast<std::size_t>(size_of(self->typecode)));
      return 0;
    }
  }
}

bool lock(Scalar* self) {
  if (self->fast == nullptr) {
    if (self->lock == Py_None) return true;
    Ref done(PyObject_CallMethod(self->lock, "acquire", nullptr));
    return bool(done);
  }
  bytes::Acquired how{};
  try {
    GilWait wait;
    how = self->fast->acquire(wait);
  } catch (...) {
    raise_current();
    return false;
  }
  if (how == bytes::Acquired::yes) return true;
  if (how == bytes::Acquired::owner_died) {
    PyErr_SetString(
        g_lock_owner_died,
        "the process that held this Value's lock died while holding it; "
        "get_lock().recover() takes the lock, and the value is as that process left it");
  }
  return false;
}

bool unlock(Scalar* self) {
  if (self->fast != nullptr) return self->fast->release();
  if (self->lock == Py_None) return true;
  Ref done(PyObject_CallMethod(self->lock, "release", nullptr));
  return bool(done);
}

PyObject* get_value(PyObject* self, void*) {
  Scalar* scalar = scalar_of(self);
  if (!lock(scalar)) return nullptr;
  PyObject* value = read(scalar);
  if (!unlock(scalar)) Py_CLEAR(value);
  return value;
}

int set_value(PyObject* self, PyObject* value, void*) {
  Scalar* scalar = scalar_of(self);
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "a Value's value cannot be deleted");
    return -1;
  }
  if (!lock(scalar)) return -1;
  int result = write(scalar, value);
  if (!unlock(scalar)) result = -1;
  return result;
}

// Scalar(typecode, lock, cell=None)
PyObject* new_scalar(PyTypeObject* type, PyObject* args, PyObject*) {
  const char* typecode = nullptr;
  PyObject* lock = nullptr;
  PyObject* cell = nullptr;
  if (!PyArg_ParseTuple(args, "sO|O!:Scalar", &typecode, &lock, g_cell_type, &cell)) return nullptr;
  const int size = typecode[0] != 0 && typecode[1] == 0 ? size_of(typecode[0]) : 0;
  if (size == 0) {
    PyErr_Format(PyExc_TypeError, "no such typecode: '%s' (one of c u b B h H i I l L q Q f d)",
                 typecode);
    return nullptr;
  }
  Ref own = cell != nullptr
                ? Ref::borrow(cell)
                : Ref(PyObject_CallFunction(reinterpret_cast<PyObject*>(g_cell_type), "i", 8));
  if (!own) return nullptr;
  const auto memory = Wrapped<Cell>::of(own.get()).memory();
  if (memory.size() < static_cast<std::size_t>(size)) {
    PyErr_SetString(PyExc_ValueError, "the cell is too small for the typecode");
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  Scalar* scalar = scalar_of(self);
  scalar->cell = own.release();
  scalar->lock = Py_NewRef(lock);
  scalar->fast =
      PyObject_TypeCheck(lock, g_rlock_type) ? &Wrapped<bytes::RawRLock>::of(lock) : nullptr;
  scalar->at = memory.data();
  scalar->typecode = typecode[0];
  return self;
}

void dealloc_scalar(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_CLEAR(scalar_of(self)->cell);
  Py_CLEAR(scalar_of(self)->lock);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* get_cell(PyObject* self, void*) { return Py_NewRef(scalar_of(self)->cell); }
PyObject* get_lock(PyObject* self, void*) { return Py_NewRef(scalar_of(self)->lock); }
PyObject* get_typecode(PyObject* self, void*) {
  return PyUnicode_FromStringAndSize(&scalar_of(self)->typecode, 1);
}

PyGetSetDef g_scalar_attributes[] = {
    {"value", get_value, set_value, "The number, read or written with the lock held.", nullptr},
    {"_cell", get_cell, nullptr, "Its memory.", nullptr},
    {"_lock", get_lock, nullptr, "Its lock, or None.", nullptr},
    {"_typecode", get_typecode, nullptr, "Its type.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot g_scalar_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_scalar)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_scalar)},
    {Py_tp_getset, g_scalar_attributes},
    {Py_tp_doc, const_cast<char*>("Scalar(typecode, lock, cell=None): one shared number")},
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
