// The items that an ObjectWriter wrote, as objects again.
//
// Reading makes objects by the steps that pickle would take: classes are found by name, called, or
// asked for a new instance, and are given their state.
#pragma once

#include "key_cache.hpp"
#include "values.hpp"

namespace forkful::python {

class ObjectReader {
 public:
  ObjectReader() = default;
  ~ObjectReader() { forget(); }
  ObjectReader(const ObjectReader&) = delete;
  ObjectReader& operator=(const ObjectReader&) = delete;

  // Takes one item from the front of `from`. nullptr with an exception set.
  PyObject* read(bytes::Bytes& from);
  // Ends the time for which classes are known, which is no longer than the memory that was read
  // from lasts.
  void forget() { known_.clear(); }

 private:
  struct Known {
    bytes::Bytes name;  // in the message
    Ref object;
  };

  template <class T>
  bool take(T& value);
  bool take_bytes(bytes::Bytes& bytes);
  bool take_count(std::uint32_t& count, std::size_t least = 1);
  PyObject* item();
  PyObject* nested(unsigned char tag);
  PyObject* key();
  PyObject* text(unsigned char tag);
  PyObject* long_int();
  PyObject* list();
  PyObject* tuple();
  PyObject* tuple_of(std::uint32_t count);
  PyObject* dict();
  PyObject* set(unsigned char tag);
  PyObject* again();
  PyObject* constant(unsigned char tag);
  PyObject* value_of(bytes::Bytes constant);
  PyObject* global(bytes::Bytes name);
  PyObject* plain();
  PyObject* made();
  PyObject* make(unsigned char how, std::uint32_t count);
  bool pairs_into(PyObject* dict, std::uint32_t count, bool names);
  bool append_all(PyObject* object);
  bool append_batch(PyObject* object, PyObject* batch);
  bool set_items(PyObject* object);
  bool at_end();
  // Gives `object` the next number; returns it, or nullptr when it is null.
  PyObject* number(PyObject* object);

  bytes::Bytes from_;
  KeyCache& keys_ = key_cache();
  std::vector<Ref> objects_;
  std::vector<Known> known_;
  int depth_ = 0;
  int within_ = 0;  // so many constants, each of which has a reader
};

}  // namespace forkful::python
