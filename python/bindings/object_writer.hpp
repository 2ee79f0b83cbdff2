// Any Python object as an item of a message, by the rules of pickle.
//
// The rules are those of pickle's protocol 5: exact built-ins by their contents, classes and
// functions by their names, everything else by what its reducer, __reduce_ex__ or __reduce__ says.
// An object that occurs twice in a value is written once, so that identity and cycles arrive.
//
// Each value has a memory (memo) of its own: an object that was changed between two values arrives
// as it was each time, and a value can be read without those ahead of it. (A pool's result that is
// the same object with the same contents as the one before is not sent again: kSameValue.) What a
// writer keeps from one value to the next, until forget(), is how to reduce each class and what the
// names of classes are, because looking these up takes longer than all the rest; the reader keeps
// the same.
#pragma once

#include <string>

#include "object_memo.hpp"
#include "value_tags.hpp"

namespace forkful::python {

class ObjectWriter {
 public:
  ObjectWriter() = default;
  ~ObjectWriter() { forget(); }
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;

  // Appends one item. no: pickle has to do it; what was appended is to be dropped.
  Encoded write(PyObject* object, Parts& into);
  Encoded write_list(PyObject* const* items, std::uint32_t count, Parts& into);
  // Ends the time for which classes and names are known.
  void forget() {
    if (!kinds_.empty()) kinds_.clear();
    if (!names_.empty()) names_.clear();
  }

 private:
  // How objects of one class are reduced.
  struct Kind {
    Ref type;
    Ref reducer;       // a registered one, or null
    bool named;        // by its name, as classes and functions are
    bool by_text;      // some were, because their __reduce__ said so
    bool constant;     // some never change
    bool maybe_plain;  // not looked at in full yet
    bool plain;        // a __dict__ and nothing else
  };
  struct Name {
    Ref object;
    std::string bytes;  // an item
  };
  struct Reduced;

  static constexpr Encoded done(bool ok) { return ok ? Encoded::yes : Encoded::failed; }
  // What pickle calls `object.__reduce_ex__(5)`.
  static PyObject* reduce(PyObject* object);
  // Likewise to write(), with what a reducer said of `object`.
  Encoded write_reduced(PyObject* object, PyObject* reduced, Parts& into);
  template <class Body>
  Encoded guard(Parts& into, Body&& body);

  Encoded put(PyObject* object);
  Encoded put_text(PyObject* text);
  Encoded put_bytes(PyObject* object);
  Encoded put_long_int(PyObject* number);
  Encoded put_outside(Tag tag, PyObject* owner, const void* data, std::size_t size);
  Encoded put_buffer(PyObject* buffer);
  Encoded put_list(PyObject* list);
  Encoded put_tuple(PyObject* tuple);
  Encoded put_dict(PyObject* dict);
  Encoded put_pairs(PyObject* dict, bool of_instance);
  Encoded put_set(PyObject* set, Tag tag);
  Encoded put_object(PyObject* object);
  Encoded put_plain(PyObject* object);
  Encoded put_reduced(PyObject* object, PyObject* reduced);
  Encoded put_all_of(PyObject* iterator, bool pairs);
  Encoded put_name(PyObject* object, PyObject* name);
  Encoded put_constant(PyObject* object);
  Encoded put_known(const std::string& bytes);
  Encoded put_again(std::uint32_t index);
  const Kind* kind_of(PyTypeObject* type);
  bool note_reduced(PyObject* object, PyObject* reduced);
  Encoded is_plain(PyObject* object, PyObject* reduced);
  const std::string* known(PyObject* object) const;
  Encoded learn(PyObject* object, std::string bytes);

  static constexpr std::size_t kMostKinds = 32;
  static constexpr std::size_t kMostNames = 32;

  ObjectMemo memo_;
  std::vector<Kind> kinds_;
  std::vector<Name> names_;
  Parts* parts_ = nullptr;
  Buffer* into_ = nullptr;
  int depth_ = 0;
};

}  // namespace forkful::python
