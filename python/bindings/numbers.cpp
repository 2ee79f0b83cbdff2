// Numbers and characters as Python's objects, and the other way round.
#include "numbers.hpp"

#include <algorithm>
#include <cstring>

namespace forkful::python {
namespace {

// By memcpy, since a cell that was handed in need not be aligned for the type. A compiler makes one
// load of it.
template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

PyObject* to_object(char value) { return PyBytes_FromStringAndSize(&value, 1); }
PyObject* to_object(wchar_t value) { return PyUnicode_FromWideChar(&value, 1); }
PyObject* to_object(bool value) { return PyBool_FromLong(value); }
PyObject* to_object(long value) { return PyLong_FromLong(value); }
PyObject* to_object(unsigned long value) { return PyLong_FromUnsignedLong(value); }
PyObject* to_object(double value) { return PyFloat_FromDouble(value); }

// Each is read as a T, which becomes a Python object as a U.
template <class T, class U = T>
bool read_all(const std::byte* at, Py_ssize_t count, PyObject** objects) {
  for (Py_ssize_t i = 0; i < count; ++i, at += sizeof(T)) {
    objects[i] = to_object(static_cast<U>(load<T>(at)));
    if (objects[i] != nullptr) continue;
    std::fill(objects + i, objects + count, nullptr);
    return false;
  }
  return true;
}

}  // namespace

bool read_numbers(char typecode, const std::byte* at, Py_ssize_t count, PyObject** objects) {
  static_assert(sizeof(long) == sizeof(long long), "'q' is read as 'l'");
  switch (typecode) {
    case 'c':
      return read_all<char>(at, count, objects);
    case 'u':
      return read_all<wchar_t>(at, count, objects);
    case '?':
      return read_all<unsigned char, bool>(at, count, objects);
    case 'b':
      return read_all<signed char, long>(at, count, objects);
    case 'B':
      return read_all<unsigned char, long>(at, count, objects);
    case 'h':
      return read_all<short, long>(at, count, objects);
    case 'H':
      return read_all<unsigned short, long>(at, count, objects);
    case 'i':
      return read_all<int, long>(at, count, objects);
    case 'I':
      return read_all<unsigned, unsigned long>(at, count, objects);
    case 'l':
    case 'q':
      return read_all<long>(at, count, objects);
    case 'L':
    case 'Q':
      return read_all<unsigned long>(at, count, objects);
    case 'f':
      return read_all<float, double>(at, count, objects);
    case 'g':
      return read_all<long double, double>(at, count, objects);
    default:
      return read_all<double>(at, count, objects);
  }
}

std::size_t size_of_number(char typecode) {
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

bool RawNumber::convert(char typecode, PyObject* value) {
  size_ = size_of_number(typecode);
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

bool RawNumber::convert_char(PyObject* value) {
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

bool RawNumber::convert_text(PyObject* value) {
  wchar_t text[2];
  if (PyUnicode_Check(value) && PyUnicode_GetLength(value) == 1 &&
      PyUnicode_AsWideChar(value, text, 2) == 1) {
    return hold(text[0]);
  }
  if (!PyErr_Occurred()) PyErr_Format(PyExc_TypeError, "one character expected, not %R", value);
  return false;
}

bool RawNumber::convert_float(char typecode, PyObject* value) {
  const PyNumberMethods* can = Py_TYPE(value)->tp_as_number;
  if (can == nullptr || (can->nb_float == nullptr && can->nb_index == nullptr)) {
    PyErr_Format(PyExc_TypeError, "a real number is required for typecode '%c', not %R", typecode,
                 value);
    return false;
  }
  const double number = PyFloat_AsDouble(value);
  if (number == -1.0 && PyErr_Occurred()) return false;
  if (typecode == 'f') return hold(static_cast<float>(number));
  if (typecode == 'd') return hold(number);
  return hold(static_cast<long double>(number));
}

bool RawNumber::convert_int(char typecode, PyObject* value) {
  if (!PyIndex_Check(value)) {
    PyErr_Format(PyExc_TypeError, "an integer is required for typecode '%c', not %R", typecode,
                 value);
    return false;
  }
  // Too large a number wraps, as in ctypes.
  const unsigned long long number = PyLong_AsUnsignedLongLongMask(value);
  return (number != ~0ull || !PyErr_Occurred()) && hold(number);
}

}  // namespace forkful::python
