// The walk over a value: built-in types by their contents, everything else by put_object().
//
// Code of the value's classes runs in the middle of it: reducers, finalizers, and with these signal
// handlers and other threads, any of which may change what is being written. So nothing that a
// container lends is used after such a call without a reference, and what a container says of its
// size is looked at again. Whatever sends a value of its own meanwhile has another writer.
//
// Answers: no is no error, and no exception is set: pickle has to do it, and what was written is
//          dropped. failed: an exception is set.
#include "object_writer.hpp"

namespace forkful::python {
namespace {

// Larger texts, bytes and buffers are sent from where they are: writing down where costs about as
// much as copying this many bytes does.
constexpr std::size_t kMostCopied = 2048;
// What the four bytes of a size can say.
constexpr std::size_t kMostSized = 0xffffffff;

// Names with two underscores may be pickle's own hooks, set on an instance.
bool is_hook(PyObject* name) {
  return PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) > 2 &&
         PyUnicode_READ_CHAR(name, 0) == '_' && PyUnicode_READ_CHAR(name, 1) == '_';
}

// A container says how many items follow. Reducers may change it while it is written, also so that
// its size is the same again: the number is that of the items that were written, noted afterwards.
void set_count(Buffer& into, std::size_t at, std::uint32_t count) {
  std::memcpy(into.at(at), &count, sizeof count);
}

}  // namespace

// The memo goes with each value, however that ends: it would keep the objects, and their numbers
// are those of this value.
template <class Body>
Encoded ObjectWriter::guard(Parts& into, Body&& body) {
  parts_ = &into;
  into_ = &into.head();
  depth_ = 0;
  Encoded how = Encoded::failed;
  try {
    how = body();
  } catch (...) {
    raise_current();
  }
  memo_.clear();
  return how;
}

Encoded ObjectWriter::write(PyObject* object, Parts& into) {
  return guard(into, [&] { return put(object); });
}

Encoded ObjectWriter::write_reduced(PyObject* object, PyObject* reduced, Parts& into) {
  return guard(into, [&] { return put_reduced(object, reduced); });
}

Encoded ObjectWriter::write_list(PyObject* const* items, std::uint32_t count, Parts& into) {
  return guard(into, [&] {
    // The list itself is made by the reader only, which numbers it as it does any other.
    Ref list(PyList_New(0));
    std::uint32_t index = 0;
    if (!list || !put_number(*into_, kListOf, count)) return Encoded::failed;
    memo_.find_or_add(list.get(), index);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (const Encoded how = put(items[i]); how != Encoded::yes) return how;
    }
    return Encoded::yes;
  });
}

Encoded ObjectWriter::put_again(std::uint32_t index) {
  return done(put_number(*into_, kAgain, index));
}

// The reader cannot tell whether the bytes were copied here: they follow their size in any case.
// `owner` keeps them where they are until the message is sent.
Encoded ObjectWriter::put_outside(Tag tag, PyObject* owner, const void* data, std::size_t size) {
  if (size > kMostSized) return Encoded::no;
  if (size <= kMostCopied || !parts_->has_room()) return done(put_sized(*into_, tag, data, size));
  if (!put_number(*into_, tag, static_cast<std::uint32_t>(size))) return Encoded::failed;
  parts_->add({static_cast<const std::byte*>(data), size}, Ref::borrow(owner));
  return Encoded::yes;
}

Encoded ObjectWriter::put_text(PyObject* text) {
  const bool ascii = PyUnicode_IS_COMPACT_ASCII(text);
  Py_ssize_t size = PyUnicode_GET_LENGTH(text);
  const void* data = PyUnicode_DATA(text);
  Ref encoded;
  if (!ascii) {
    data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data == nullptr) {  // it has surrogates
      PyErr_Clear();
      encoded = Ref(PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass"));
      if (!encoded) return Encoded::failed;
      data = PyBytes_AS_STRING(encoded.get());
      size = PyBytes_GET_SIZE(encoded.get());
    }
  }
  // Short texts are cheaper to repeat than to look for.
  const auto length = static_cast<std::size_t>(size);
  std::uint32_t index = 0;
  if (length >= kMostRepeated && memo_.find_or_add(text, index)) return put_again(index);
  return put_outside(ascii ? kAscii : kText, encoded ? encoded.get() : text, data, length);
}

Encoded ObjectWriter::put_bytes(PyObject* object) {
  const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(object));
  std::uint32_t index = 0;
  if (size >= kMostRepeated && memo_.find_or_add(object, index)) return put_again(index);
  return put_outside(kBytes, object, PyBytes_AS_STRING(object), size);
}

Encoded ObjectWriter::put_long_int(PyObject* number) {
  Ref text(PyNumber_ToBase(number, 16));
  if (!text) return Encoded::failed;
  const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(text.get()));
  if (size > kMostSized) return Encoded::no;
  return done(put_sized(*into_, kLongInt, PyUnicode_DATA(text.get()), size));
}

// A bytearray, or the memory that a pickle.PickleBuffer stands for. While the view is there nobody
// can change the size of that memory. no: it is released, or has gaps; pickle says which.
Encoded ObjectWriter::put_buffer(PyObject* buffer) {
  Ref view(PyMemoryView_FromObject(buffer));
  if (!view) {
    PyErr_Clear();
    return Encoded::no;
  }
  const Py_buffer* bytes = PyMemoryView_GET_BUFFER(view.get());
  if (PyBuffer_IsContiguous(bytes, 'A') == 0) return Encoded::no;
  const auto size = static_cast<std::size_t>(bytes->len);
  std::uint32_t index = 0;
  // Whoever reads numbers bytes only from some size on.
  const bool numbered = bytes->readonly == 0 || size >= kMostRepeated;
  if (numbered && memo_.find_or_add(buffer, index)) return put_again(index);
  return put_outside(bytes->readonly != 0 ? kBytes : kByteArray, view.get(), bytes->buf, size);
}

Encoded ObjectWriter::put(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyUnicode_Type) return put_text(object);
  if (type == &PyLong_Type) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    return overflow != 0 ? put_long_int(object) : done(put_number(*into_, kInt, value));
  }
  if (type == &PyFloat_Type) return done(put_number(*into_, kFloat, PyFloat_AS_DOUBLE(object)));
  if (object == Py_None) return done(put_tag(*into_, kNone));
  if (object == Py_True) return done(put_tag(*into_, kTrue));
  if (object == Py_False) return done(put_tag(*into_, kFalse));
  if (type == &PyBytes_Type) return put_bytes(object);
  // The reader recurses as this does, and has to have room on its stack.
  if (depth_ == kMostNested) return Encoded::no;
  ++depth_;
  Encoded how = Encoded::no;
  if (type == &PyDict_Type) {
    how = put_dict(object);
  } else if (type == &PyList_Type) {
    how = put_list(object);
  } else if (type == &PyTuple_Type) {
    how = put_tuple(object);
  } else if (type == &PySet_Type) {
    how = put_set(object, kSetOf);
  } else if (type == &PyFrozenSet_Type) {
    how = put_set(object, kFrozenSetOf);
  } else if (type == &PyByteArray_Type || type == &PyPickleBuffer_Type) {
    how = put_buffer(object);
  } else {
    how = put_object(object);
  }
  --depth_;
  return how;
}

Encoded ObjectWriter::put_list(PyObject* list) {
  std::uint32_t index = 0;
  if (memo_.find_or_add(list, index)) return put_again(index);
  const std::size_t before = into_->size();
  if (!put_number(*into_, kListOf, static_cast<std::uint32_t>(PyList_GET_SIZE(list))))
    return Encoded::failed;
  // What a reducer does to the list meanwhile is sent with it.
  std::uint32_t count = 0;
  for (; count < PyList_GET_SIZE(list); ++count) {
    const Ref item = Ref::borrow(PyList_GET_ITEM(list, count));
    if (const Encoded how = put(item.get()); how != Encoded::yes) return how;
  }
  set_count(*into_, before + 1, count);
  return Encoded::yes;
}

Encoded ObjectWriter::put_tuple(PyObject* tuple) {
  std::uint32_t index = 0;
  const Py_ssize_t count = PyTuple_GET_SIZE(tuple);
  if (count > 0 && memo_.find(tuple, index)) return put_again(index);
  if (!put_number(*into_, kTupleOf, static_cast<std::uint32_t>(count))) return Encoded::failed;
  // Whoever called has the tuple, and nobody can change it: its items need no references.
  for (Py_ssize_t i = 0; i < count; ++i) {
    const Encoded how = put(PyTuple_GET_ITEM(tuple, i));
    if (how != Encoded::yes) return how;
  }
  // A tuple has its number after its items; one that contains itself has it already.
  if (count > 0 && memo_.find_or_add(tuple, index)) return Encoded::no;
  return Encoded::yes;
}

Encoded ObjectWriter::put_dict(PyObject* dict) {
  std::uint32_t index = 0;
  if (memo_.find_or_add(dict, index)) return put_again(index);
  if (!put_tag(*into_, kDictOf)) return Encoded::failed;
  return put_pairs(dict, false);
}

// `of_instance`: the dict is an object's __dict__. A name in it may be a hook of pickle's, of which
// only pickle knows what it means there.
Encoded ObjectWriter::put_pairs(PyObject* dict, bool of_instance) {
  const Py_ssize_t size = PyDict_GET_SIZE(dict);
  const std::size_t before = into_->size();
  std::uint32_t count = 0;
  if (into_->extend(sizeof count) == nullptr) return Encoded::failed;
  Py_ssize_t next = 0;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  while (PyDict_Next(dict, &next, &key, &value) != 0) {
    // A reducer may take them out meanwhile.
    const Ref keep_key = Ref::borrow(key);
    const Ref keep_value = Ref::borrow(value);
    if (of_instance && is_hook(key)) return Encoded::no;
    if (const Encoded how = put(key); how != Encoded::yes) return how;
    if (const Encoded how = put(value); how != Encoded::yes) return how;
    ++count;
    if (PyDict_GET_SIZE(dict) != size) {
      PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
      return Encoded::failed;
    }
  }
  set_count(*into_, before, count);
  return Encoded::yes;
}

Encoded ObjectWriter::put_set(PyObject* set, Tag tag) {
  std::uint32_t index = 0;
  const bool seen = tag == kSetOf ? memo_.find_or_add(set, index) : memo_.find(set, index);
  if (seen) return put_again(index);
  const std::size_t before = into_->size();
  std::uint32_t count = 0;
  if (!put_number(*into_, tag, count)) return Encoded::failed;
  Ref items(PyObject_GetIter(set));
  if (!items) return Encoded::failed;
  for (; Ref item{PyIter_Next(items.get())}; ++count) {
    if (const Encoded how = put(item.get()); how != Encoded::yes) return how;
  }
  if (PyErr_Occurred() != nullptr) return Encoded::failed;
  set_count(*into_, before + 1, count);
  if (tag == kFrozenSetOf && memo_.find_or_add(set, index)) return Encoded::no;
  return Encoded::yes;
}

}  // namespace forkful::python
