// Which objects a value has had, so that one that occurs twice is written once.
#pragma once

#include <vector>

#include "core.hpp"

namespace forkful::python {

// Each object has its place in the order in which they were written.
class ObjectMemo {
 public:
  ~ObjectMemo() { clear(); }
  // False: it is not there, and `index` is as it was.
  [[nodiscard]] bool find(PyObject* object, std::uint32_t& index) const;
  // True: it was there already. Otherwise it has the next number, which `index` does not say, and
  // is held until clear().
  bool find_or_add(PyObject* object, std::uint32_t& index);
  // Gives all of them back, which may run finalizers.
  void clear();

 private:
  struct Entry {
    PyObject* object;
    std::uint32_t round;  // an entry of an earlier round is free: clearing touches no memory
    std::uint32_t index;
  };
  [[nodiscard]] std::size_t place(PyObject* object) const;
  void grow();
  std::vector<Entry> entries_;
  std::vector<PyObject*> held_;  // references: an id must not be used again meanwhile
  std::uint32_t round_ = 0;
  int shift_ = 0;
};

}  // namespace forkful::python
