// Numbers and characters in shared memory, by the typecodes of the array module, with ctypes' '?'
// (bool) and 'g' (long double): as Python's objects, and the other way round, as ctypes does it.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace forkful::python {

// 0: no such typecode. The sizes are those of ctypes on 64-bit Linux.
std::size_t size_of_number(char typecode);

// The largest of these sizes.
inline constexpr std::size_t kMostOfNumber = sizeof(long double);

// Reads `count` of them that lie side by side, one after the other. False with an exception set:
// there is no memory, or of 'u' no character; `objects` has those before it, and nullptr from there
// on. Nobody's code runs in here, so a lock may be held around it.
bool read_numbers(char typecode, const std::byte* at, Py_ssize_t count, PyObject** objects);
// One of them: a new reference, or nullptr with an exception set.
inline PyObject* read_number(char typecode, const std::byte* at) {
  PyObject* object = nullptr;
  return read_numbers(typecode, at, 1, &object) ? object : nullptr;
}

// A value as the bytes of a typecode.
class RawNumber {
 public:
  // False with an exception set where `value` is none of the typecode's. It may run anything.
  bool convert(char typecode, PyObject* value);
  void store(std::byte* at) const { std::memcpy(at, bytes_, size_); }
  [[nodiscard]] bool equals(const std::byte* at) const {
    return std::memcmp(at, bytes_, size_) == 0;
  }
  // An integer's, of which the lowest bytes are what the typecode has.
  [[nodiscard]] std::uint64_t bits() const {
    std::uint64_t bits = 0;
    std::memcpy(&bits, bytes_, sizeof bits);
    return bits;
  }

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
  std::byte bytes_[kMostOfNumber];
};

}  // namespace forkful::python
