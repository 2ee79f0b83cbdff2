#include "values.hpp"

#include <cstring>

namespace forkful::python {
namespace {

enum Tag : unsigned char {
  kPickle = 1,  // the rest of the message
  kNone,
  kFalse,
  kTrue,
  kInt,        // 8 bytes
  kFloat,      // 8 bytes
  kAscii,      // size:4, characters
  kText,       // size:4, UTF-8
  kBytes,      // size:4
  kTuple,      // count:1, values
  kLongBytes,  // the rest of the message
};

constexpr Py_ssize_t kMostTuple = 16;
constexpr int kMostDepth = 4;
constexpr Py_ssize_t kMostSimple = 3072;  // larger strings go by another way or are pickled

PyObject* g_dumps;
PyObject* g_loads;

template <class T>
bool put(Buffer& into, Tag tag, T value) {
  std::byte* at = into.extend(1 + sizeof value);
  if (at == nullptr) return false;
  at[0] = std::byte{tag};
  std::memcpy(at + 1, &value, sizeof value);
  return true;
}

bool put_tag(Buffer& into, Tag tag) {
  std::byte* at = into.extend(1);
  if (at != nullptr) at[0] = std::byte{tag};
  return at != nullptr;
}

bool put_sized(Buffer& into, Tag tag, const void* data, Py_ssize_t size) {
  std::byte* at = into.extend(5 + static_cast<std::size_t>(size));
  if (at == nullptr) return false;
  const auto length = static_cast<std::uint32_t>(size);
  at[0] = std::byte{tag};
  std::memcpy(at + 1, &length, sizeof length);
  std::memcpy(at + 5, data, length);
  return true;
}

constexpr Encoded done(bool ok) { return ok ? Encoded::yes : Encoded::failed; }

Encoded encode_text(PyObject* text, Buffer& into) {
  if (PyUnicode_IS_COMPACT_ASCII(text)) {
    const Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    if (size > kMostSimple) return Encoded::no;
    return done(put_sized(into, kAscii, PyUnicode_DATA(text), size));
  }
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
  if (utf8 == nullptr) {
    PyErr_Clear();  // lone surrogates: pickle can
    return Encoded::no;
  }
  if (size > kMostSimple) return Encoded::no;
  return done(put_sized(into, kText, utf8, size));
}

Encoded encode_at(PyObject* object, Buffer& into, int depth) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyLong_Type) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    return overflow != 0 ? Encoded::no : done(put(into, kInt, value));
  }
  if (type == &PyUnicode_Type) return encode_text(object, into);
  if (type == &PyFloat_Type) return done(put(into, kFloat, PyFloat_AS_DOUBLE(object)));
  if (object == Py_None) return done(put_tag(into, kNone));
  if (object == Py_True) return done(put_tag(into, kTrue));
  if (object == Py_False) return done(put_tag(into, kFalse));
  if (type == &PyBytes_Type) {
    const Py_ssize_t size = PyBytes_GET_SIZE(object);
    if (size > kMostSimple) return Encoded::no;
    return done(put_sized(into, kBytes, PyBytes_AS_STRING(object), size));
  }
  if (type == &PyTuple_Type && depth < kMostDepth) {
    const Py_ssize_t count = PyTuple_GET_SIZE(object);
    if (count > kMostTuple) return Encoded::no;
    const std::size_t before = into.size();
    if (!put(into, kTuple, static_cast<unsigned char>(count))) return Encoded::failed;
    for (Py_ssize_t i = 0; i < count; ++i) {
      const Encoded how = encode_at(PyTuple_GET_ITEM(object, i), into, depth + 1);
      if (how != Encoded::yes) {
        into.shrink(before);
        return how;
      }
    }
    return Encoded::yes;
  }
  return Encoded::no;
}

PyObject* too_short() {
  PyErr_SetString(PyExc_EOFError, "a message is shorter than it says: its memory is damaged");
  return nullptr;
}

template <class T>
bool take(bytes::Bytes& from, T& value) {
  if (from.size() < sizeof value) return false;
  std::memcpy(&value, from.data(), sizeof value);
  from = from.subspan(sizeof value);
  return true;
}

PyObject* decode_at(bytes::Bytes& from, int depth) {
  unsigned char tag = 0;
  if (!take(from, tag)) return too_short();
  switch (tag) {
    case kNone:
      Py_RETURN_NONE;
    case kFalse:
      Py_RETURN_FALSE;
    case kTrue:
      Py_RETURN_TRUE;
    case kInt: {
      long long value = 0;
      return take(from, value) ? PyLong_FromLongLong(value) : too_short();
    }
    case kFloat: {
      double value = 0;
      return take(from, value) ? PyFloat_FromDouble(value) : too_short();
    }
    case kAscii:
    case kText:
    case kBytes: {
      std::uint32_t size = 0;
      if (!take(from, size) || size > from.size()) return too_short();
      const char* data = reinterpret_cast<const char*>(from.data());
      from = from.subspan(size);
      if (tag == kBytes) return PyBytes_FromStringAndSize(data, size);
      if (tag == kText) return PyUnicode_DecodeUTF8(data, size, nullptr);
      PyObject* text = PyUnicode_New(size, 127);
      if (text != nullptr) std::memcpy(PyUnicode_DATA(text), data, size);
      return text;
    }
    case kTuple: {
      unsigned char count = 0;
      if (!take(from, count) || depth >= kMostDepth) return too_short();
      Ref tuple(PyTuple_New(count));
      if (!tuple) return nullptr;
      for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* item = decode_at(from, depth + 1);
        if (item == nullptr) return nullptr;
        PyTuple_SET_ITEM(tuple.get(), i, item);
      }
      return tuple.release();
    }
    case kLongBytes: {
      const bytes::Bytes rest = std::exchange(from, {});
      return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(rest.data()),
                                       static_cast<Py_ssize_t>(rest.size()));
    }
    case kPickle:
      return unpickle(std::exchange(from, {}));
    default:
      return too_short();
  }
}

PyObject* set_pickle(PyObject*, PyObject* args) {
  PyObject* dumps = nullptr;
  PyObject* loads = nullptr;
  if (!PyArg_ParseTuple(args, "OO:set_pickle", &dumps, &loads)) return nullptr;
  Py_XSETREF(g_dumps, Py_NewRef(dumps));
  Py_XSETREF(g_loads, Py_NewRef(loads));
  Py_RETURN_NONE;
}

PyMethodDef g_functions[] = {
    {"set_pickle", set_pickle, METH_VARARGS,
     "set_pickle(dumps, loads): how objects that are no small built-ins become bytes."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool Buffer::grow(std::size_t size) {
  std::size_t room = room_ * 2;
  while (room < size_ + size) room *= 2;
  auto* larger = static_cast<std::byte*>(data_ == first_ ? PyMem_RawMalloc(room)
                                                         : PyMem_RawRealloc(data_, room));
  if (larger == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  if (data_ == first_) std::memcpy(larger, first_, size_);
  data_ = larger;
  room_ = room;
  return true;
}

Encoded encode_simple(PyObject* object, Buffer& into) { return encode_at(object, into, 0); }

bool Parts::encode(PyObject* object) {
  count_ = 1;
  const Encoded how = encode_simple(object, head_);
  if (how == Encoded::failed) return false;
  if (how == Encoded::no) {
    if (PyBytes_CheckExact(object)) {
      if (!put_tag(head_, kLongBytes)) return false;
      body_ = Ref::borrow(object);
    } else {
      if (!put_tag(head_, kPickle)) return false;
      body_ = pickle(object, shares_);
      if (!body_) return false;
    }
    if (PyObject_GetBuffer(body_.get(), &view_, PyBUF_SIMPLE) != 0) return false;
    parts_[1] = {static_cast<const std::byte*>(view_.buf), static_cast<std::size_t>(view_.len)};
    count_ = 2;
  }
  parts_[0] = head_.bytes();
  return true;
}

PyObject* decode(bytes::Bytes& from) { return decode_at(from, 0); }

Ref pickle(PyObject* object, std::vector<bytes::Shared>& shares) {
  const Gathering gathering(shares);
  return Ref(PyObject_CallOneArg(g_dumps, object));
}

PyObject* unpickle(bytes::Bytes from) {
  Ref view(PyMemoryView_FromMemory(const_cast<char*>(reinterpret_cast<const char*>(from.data())),
                                   static_cast<Py_ssize_t>(from.size()), PyBUF_READ));
  if (!view) return nullptr;
  PyObject* object = PyObject_CallOneArg(g_loads, view.get());
  // Whoever kept the view would read memory that is about to be freed.
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  Ref released(PyObject_CallMethod(view.get(), "release", nullptr));
  if (!released) PyErr_Clear();
  PyErr_Restore(type, value, trace);
  return object;
}

bool add_values(PyObject* module) { return PyModule_AddFunctions(module, g_functions) == 0; }

}  // namespace forkful::python
