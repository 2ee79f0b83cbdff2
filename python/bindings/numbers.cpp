// Numbers and characters as Python's objects, and the other way round.
#include "numbers.hpp"

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

}  // namespace

PyObject* read_number(char typecode, const std::byte* at) {
  switch (typecode) {
    case 'c':
      return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(at), 1);
    case 'u': {
      const auto character = load<wchar_t>(at);
      return PyUnicode_FromWideChar(&character, 1);
    }
    case 'b':
      return PyLong_FromLong(load<signed char>(at));
    case 'B':
      return PyLong_FromLong(load<unsigned char>(at));
    case 'h':
      return PyLong_FromLong(load<short>(at));
    case 'H':
      return PyLong_FromLong(load<unsigned short>(at));
    case 'i':
      return PyLong_FromLong(load<int>(at));
    case 'I':
      return PyLong_FromUnsignedLong(load<unsigned>(at));
    case 'l':
      return PyLong_FromLong(load<long>(at));
    case 'L':
      return PyLong_FromUnsignedLong(load<unsigned long>(at));
    case 'q':
      return PyLong_FromLongLong(load<long long>(at));
    case 'Q':
      return PyLong_FromUnsignedLongLong(load<unsigned long long>(at));
    case 'f':
      return PyFloat_FromDouble(load<float>(at));
    case 'g':
      return PyFloat_FromDouble(static_cast<double>(load<long double>(at)));
    case '?':
      return PyBool_FromLong(load<unsigned char>(at));
    default:
      return PyFloat_FromDouble(load<double>(at));
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
