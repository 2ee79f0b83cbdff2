// Elements: an array that processes share, with a lock around each access.
//
// SynchronizedArray (python/forkful/sharedctypes.py) is one. Where the elements are numbers or
// characters in a cell, they are read and written here, without ctypes. Others, such as structures,
// and arrays in a process's own memory, are asked for under the lock.
//
// Memory: a cell's, which lasts as long as the cell. Nobody can move it: ctypes resizes no object
//         that lies in memory of others.
// Lock:   held while bytes are copied, never while they become objects or objects become bytes:
// that
//         may run anything, also what wants this lock, and where it fails nothing has changed.
// GIL, death: as with a Scalar; see cells.cpp.
#include <algorithm>
#include <forkful/bytes/cell.hpp>
#include <memory>
#include <string_view>

#include "cells.hpp"
#include "core.hpp"
#include "guard.hpp"
#include "numbers.hpp"

namespace forkful::python {
namespace {

using bytes::Cell;

struct Elements {
  PyObject_HEAD PyObject* array;  // the ctypes object; nullptr until __init__() has run
  PyObject* cell;                 // where `at` lies
  Guard guard;
  std::byte* at;  // nullptr: by the array's own methods
  Py_ssize_t length;
  std::size_t size;  // of an element
  char typecode;     // as numbers.hpp has them
};

constexpr char kNoun[] = "an Array";

Elements* elements_of(PyObject* self) { return reinterpret_cast<Elements*>(self); }

// Throws PythonError where __init__() has not run.
Elements* made(PyObject* self) {
  if (elements_of(self)->array == nullptr) [[unlikely]]
    raise_unmade(self);
  return elements_of(self);
}

// A Python object's bytes, for as long as this is there.
class View {
 public:
  View() = default;
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }

  // False where it has no such buffer; no exception is set.
  bool take(PyObject* object, int flags) {
    if (!PyObject_CheckBuffer(object)) return false;
    if (PyObject_GetBuffer(object, &view_, flags) == 0) return true;
    PyErr_Clear();
    view_.obj = nullptr;
    return false;
  }
  [[nodiscard]] const Py_buffer* operator->() const { return &view_; }
  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(view_.buf); }

  // Whether its elements are bytes as those of a typecode.
  [[nodiscard]] bool has(char typecode, std::size_t size) const {
    std::string_view format = view_.format != nullptr ? view_.format : "B";
    // Native, or little-endian, as the machines are that there are; see RawNumber.
    if (!format.empty() && std::string_view("<@=").find(format[0]) != format.npos)
      format.remove_prefix(1);
    if (format.size() != 1 || view_.itemsize != static_cast<Py_ssize_t>(size)) return false;
    const auto both = [&](std::string_view alike) {
      return alike.find(typecode) != alike.npos && alike.find(format[0]) != alike.npos;
    };
    return both("bhilq") || both("BHILQ") || both("f") || both("d") || both("g") || both("?") ||
           (typecode == 'c' && (format == "c" || format == "B"));
  }

 private:
  Py_buffer view_{};
};

// --- one element ---

PyObject* out_of_range(const Elements* self, Py_ssize_t index) {
  PyErr_Format(PyExc_IndexError, "invalid index: an Array of %zd elements has no element %zd",
               self->length, index);
  return nullptr;
}

// `index` counts from the beginning.
PyObject* read_at(Elements* self, Py_ssize_t index) {
  if (index < 0 || index >= self->length) return out_of_range(self, index);
  if (!self->guard.acquire(kNoun)) return nullptr;
  PyObject* value =
      read_number(self->typecode, self->at + static_cast<std::size_t>(index) * self->size);
  if (!self->guard.release()) Py_CLEAR(value);
  return value;
}

// Also of a ctypes object of the type, as ctypes has it. It may run anything.
bool convert(const Elements* self, PyObject* value, std::byte* to) {
  RawNumber raw;
  if (raw.convert(self->typecode, value)) {
    raw.store(to);
    return true;
  }
  if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) return false;
  Ref error = take_error();
  View view;
  if (view.take(value, PyBUF_FORMAT | PyBUF_ND) && view->ndim == 0 &&
      view.has(self->typecode, self->size)) {
    std::memcpy(to, view.data(), self->size);
    return true;
  }
  give_back_error(std::move(error));
  return false;
}

bool write_at(Elements* self, Py_ssize_t index, PyObject* value) {
  if (index < 0 || index >= self->length) return out_of_range(self, index) != nullptr;
  std::byte bytes[kMostOfNumber];
  if (!convert(self, value, bytes) || !self->guard.acquire(kNoun)) return false;
  std::memcpy(self->at + static_cast<std::size_t>(index) * self->size, bytes, self->size);
  return self->guard.release();
}

// --- several of them ---

struct Slice {
  Py_ssize_t start = 0;
  Py_ssize_t step = 0;
  Py_ssize_t count = 0;

  bool parse(PyObject* slice, Py_ssize_t length) {
    Py_ssize_t stop = 0;
    if (PySlice_Unpack(slice, &start, &stop, &step) != 0) return false;
    count = PySlice_AdjustIndices(length, &start, &stop, step);
    return true;
  }
  [[nodiscard]] std::size_t bytes(const Elements* self) const {
    return static_cast<std::size_t>(count) * self->size;
  }
  // The memory of the i-th element of it.
  [[nodiscard]] std::byte* at(const Elements* self, Py_ssize_t i) const {
    return self->at + static_cast<std::size_t>(start + i * step) * self->size;
  }
};

// The lock is held meanwhile.
bool copy_out(Elements* self, const Slice& slice, std::byte* to) {
  if (!self->guard.acquire(kNoun)) return false;
  if (slice.step == 1 && slice.count != 0) {
    std::memcpy(to, slice.at(self, 0), slice.bytes(self));
  } else {
    for (Py_ssize_t i = 0; i < slice.count; ++i, to += self->size)
      std::memcpy(to, slice.at(self, i), self->size);
  }
  return self->guard.release();
}

// The lock is held meanwhile. `from` may be part of the same memory where the step is 1.
bool copy_in(Elements* self, const Slice& slice, const std::byte* from) {
  if (!self->guard.acquire(kNoun)) return false;
  if (slice.step == 1) {
    std::memmove(slice.at(self, 0), from, slice.bytes(self));
  } else {
    for (Py_ssize_t i = 0; i < slice.count; ++i, from += self->size)
      std::memcpy(slice.at(self, i), from, self->size);
  }
  return self->guard.release();
}

// Throws std::bad_alloc.
std::unique_ptr<std::byte[]> room(std::size_t bytes) {
  return std::make_unique_for_overwrite<std::byte[]>(bytes);
}

// A list of the numbers. Their bytes are copied to the end of the list's own memory, where they
// fit, and become objects from its beginning on: so none is overwritten before it is read. Why:
// memory of its own for the copy took as long as the copy.
PyObject* read_list(Elements* self, const Slice& slice) {
  Ref list(PyList_New(slice.count));
  if (!list) return nullptr;
  // Nobody else sees the list until it has objects alone: the lock's release() may run anything.
  PyObject_GC_UnTrack(list.get());
  PyObject** objects = reinterpret_cast<PyListObject*>(list.get())->ob_item;
  const std::size_t whole = static_cast<std::size_t>(slice.count) * sizeof(PyObject*);
  std::unique_ptr<std::byte[]> own;
  std::byte* bytes = nullptr;
  if (slice.bytes(self) <= whole) {
    bytes = reinterpret_cast<std::byte*>(objects) + (whole - slice.bytes(self));
  } else {
    own = room(slice.bytes(self));
    bytes = own.get();
  }
  if (!copy_out(self, slice, bytes)) {
    std::fill_n(objects, slice.count, nullptr);
    return nullptr;
  }
  if (!read_numbers(self->typecode, bytes, slice.count, objects)) return nullptr;
  PyObject_GC_Track(list.get());
  return list.release();
}

// Bytes of 'c', a str of 'u', and a list of others, as ctypes has it.
PyObject* read_slice(Elements* self, const Slice& slice) {
  if (self->typecode == 'c') {
    Ref text(PyBytes_FromStringAndSize(nullptr, slice.count));
    if (!text) return nullptr;
    auto* to = reinterpret_cast<std::byte*>(PyBytes_AS_STRING(text.get()));
    return copy_out(self, slice, to) ? text.release() : nullptr;
  }
  if (self->typecode != 'u') return read_list(self, slice);
  const auto copy = room(slice.bytes(self));
  if (!copy_out(self, slice, copy.get())) return nullptr;
  return PyUnicode_FromWideChar(reinterpret_cast<const wchar_t*>(copy.get()), slice.count);
}

bool check_count(const Slice& slice, Py_ssize_t count) {
  if (count == slice.count) return true;
  if (count < 0 && PyErr_ExceptionMatches(PyExc_TypeError) != 0) {
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError,
                 "Can only assign sequence of same size: give a sequence of %zd values",
                 slice.count);
  }
  if (count >= 0)
    PyErr_Format(PyExc_ValueError,
                 "Can only assign sequence of same size: %zd values for %zd elements of an Array",
                 count, slice.count);
  return false;
}

// All of them become bytes before the first is written.
bool write_values(Elements* self, const Slice& slice, PyObject* values) {
  if (!check_count(slice, PySequence_Size(values))) return false;
  const auto bytes = room(slice.bytes(self));
  std::byte* to = bytes.get();
  for (Py_ssize_t i = 0; i < slice.count; ++i, to += self->size) {
    // Converting one may change a list, so each is looked up anew.
    const Ref value(PyList_CheckExact(values) && i < PyList_GET_SIZE(values)
                        ? Py_NewRef(PyList_GET_ITEM(values, i))
                        : PySequence_GetItem(values, i));
    if (!value || !convert(self, value.get(), to)) return false;
  }
  return copy_in(self, slice, bytes.get());
}

bool write_slice(Elements* self, const Slice& slice, PyObject* values) {
  View view;
  if (!view.take(values, PyBUF_FORMAT | PyBUF_ND) || view->ndim != 1 ||
      !view.has(self->typecode, self->size))
    return write_values(self, slice, values);
  if (!check_count(slice, view->len / static_cast<Py_ssize_t>(self->size))) return false;
  if (slice.step == 1) return copy_in(self, slice, view.data());
  const auto bytes = room(slice.bytes(self));
  std::memcpy(bytes.get(), view.data(), slice.bytes(self));
  return copy_in(self, slice, bytes.get());
}

// --- Python's protocols ---

PyObject* refuse_key(PyObject* key) {
  PyErr_Format(PyExc_TypeError, "indices must be integers or slices, not %.100s: %R",
               Py_TYPE(key)->tp_name, key);
  return nullptr;
}

Py_ssize_t get_length(PyObject* self) {
  Py_ssize_t length = -1;
  guarded_init([&] {
    const Elements* elements = made(self);
    length = elements->at != nullptr ? elements->length : PyObject_Size(elements->array);
    return length >= 0;
  });
  return length;
}

// a[key]
PyObject* get_item(PyObject* self, PyObject* key) {
  return guarded([&]() -> PyObject* {
    Elements* elements = made(self);
    if (elements->at == nullptr) {
      if (!elements->guard.acquire(kNoun)) return nullptr;
      PyObject* value = PyObject_GetItem(elements->array, key);
      if (!elements->guard.release()) Py_CLEAR(value);
      return value;
    }
    if (PyIndex_Check(key)) {
      const Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
      if (index == -1 && PyErr_Occurred() != nullptr) return nullptr;
      return read_at(elements, index < 0 ? index + elements->length : index);
    }
    Slice slice;
    if (!PySlice_Check(key)) return refuse_key(key);
    return slice.parse(key, elements->length) ? read_slice(elements, slice) : nullptr;
  });
}

// a[key] = value; without a value: del a[key]
int set_item(PyObject* self, PyObject* key, PyObject* value) {
  return guarded_init([&] {
    Elements* elements = made(self);
    if (value == nullptr) {
      PyErr_SetString(PyExc_TypeError, "Array does not support item deletion");
      return false;
    }
    if (elements->at == nullptr) {
      if (!elements->guard.acquire(kNoun)) return false;
      const bool done = PyObject_SetItem(elements->array, key, value) == 0;
      return elements->guard.release() && done;
    }
    if (PyIndex_Check(key)) {
      const Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
      if (index == -1 && PyErr_Occurred() != nullptr) return false;
      return write_at(elements, index < 0 ? index + elements->length : index, value);
    }
    Slice slice;
    if (!PySlice_Check(key)) return refuse_key(key) != nullptr;
    return slice.parse(key, elements->length) && write_slice(elements, slice, value);
  });
}

// What iterating calls; of a negative index the caller has added the length.
PyObject* get_at(PyObject* self, Py_ssize_t index) {
  return guarded([&]() -> PyObject* {
    Elements* elements = made(self);
    if (elements->at != nullptr) return read_at(elements, index);
    if (!elements->guard.acquire(kNoun)) return nullptr;
    PyObject* value = PySequence_GetItem(elements->array, index);
    if (!elements->guard.release()) Py_CLEAR(value);
    return value;
  });
}

int set_at(PyObject* self, Py_ssize_t index, PyObject* value) {
  const Ref key(PyLong_FromSsize_t(index));
  return key ? set_item(self, key.get(), value) : -1;
}

// --- the object ---

// Finds the elements in the cell, if that is where the array has them: a copy of a ctypes object
// has the attributes of the first one, and memory of its own.
bool find_memory(Elements* self, char typecode, PyObject* cell) {
  View view;
  if (!view.take(self->array, PyBUF_SIMPLE)) return true;
  const auto memory = Wrapped<Cell>::of(cell).memory();
  const std::size_t size = size_of_number(typecode);
  if (view.data() != memory.data() || static_cast<std::size_t>(view->len) > memory.size())
    return true;
  self->cell = Py_NewRef(cell);
  self->at = memory.data();
  self->size = size;
  self->length = view->len / static_cast<Py_ssize_t>(size);
  self->typecode = typecode;
  return true;
}

// Elements(array, lock, typecode="", cell=None)
int init_elements(PyObject* self, PyObject* args, PyObject*) {
  PyObject* array = nullptr;
  PyObject* lock = nullptr;
  const char* typecode = "";
  PyObject* cell = Py_None;
  if (!PyArg_ParseTuple(args, "OO|sO:Elements", &array, &lock, &typecode, &cell)) return -1;
  return guarded_init([&] {
    Elements* elements = elements_of(self);
    if (elements->array != nullptr) {
      PyErr_SetString(PyExc_RuntimeError, "an Array is made once: another thread may be using it");
      return false;
    }
    if (!elements->guard.set(lock)) return false;
    elements->array = Py_NewRef(array);
    const bool known = size_of_number(typecode[0]) != 0 && typecode[1] == 0;
    return !known || !PyObject_TypeCheck(cell, g_cell_type) ||
           find_memory(elements, typecode[0], cell);
  });
}

PyObject* new_elements(PyTypeObject* type, PyObject*, PyObject*) { return type->tp_alloc(type, 0); }

int traverse_elements(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(elements_of(self)->array);
  return elements_of(self)->guard.traverse(visit, arg);
}

int clear_elements(PyObject* self) {
  Elements* elements = elements_of(self);
  elements->at = nullptr;
  Py_CLEAR(elements->array);
  Py_CLEAR(elements->cell);
  elements->guard.clear();
  return 0;
}

void dealloc_elements(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear_elements(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* get_array(PyObject* self, void*) {
  return guarded([&] { return Py_NewRef(made(self)->array); });
}
PyObject* get_lock(PyObject* self, void*) {
  return guarded([&] { return Py_NewRef(made(self)->guard.lock()); });
}

PyGetSetDef g_attributes[] = {
    {"_obj", get_array, nullptr, "The array that the lock guards.", nullptr},
    {"_lock", get_lock, nullptr, "Its lock.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot g_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_elements)},
    {Py_tp_init, reinterpret_cast<void*>(init_elements)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_elements)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_elements)},
    {Py_tp_clear, reinterpret_cast<void*>(clear_elements)},
    {Py_tp_getset, g_attributes},
    {Py_sq_item, reinterpret_cast<void*>(get_at)},
    {Py_sq_ass_item, reinterpret_cast<void*>(set_at)},
    {Py_sq_length, reinterpret_cast<void*>(get_length)},
    {Py_mp_length, reinterpret_cast<void*>(get_length)},
    {Py_mp_subscript, reinterpret_cast<void*>(get_item)},
    {Py_mp_ass_subscript, reinterpret_cast<void*>(set_item)},
    {Py_tp_doc, const_cast<char*>("Elements(array, lock, typecode='', cell=None, /)\n--\n\n"
                                  "An array with a lock around each access.")},
    {0, nullptr}};
PyType_Spec g_spec{"forkful._core.Elements", sizeof(Elements), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, g_slots};

}  // namespace

bool add_elements(PyObject* module) { return add_type(module, g_spec); }

}  // namespace forkful::python
