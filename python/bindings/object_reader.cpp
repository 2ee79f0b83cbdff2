// The walk over the bytes of an item: a function for each kind of tag; see value_tags.hpp.
//
// Called by decode() for each value of a queue, a task or a result. Python code runs in the middle
// of nearly all of it: imports, constructors, __setstate__(), __hash__() of keys, and with these
// signal handlers and other threads. So no reference is borrowed over such a call, and what is half
// made is nowhere to be found but where pickle shows it, too: containers, since they may contain
// themselves. Whatever comes back here while it runs has a reader of its own; see values.cpp.
//
// Trust: another process wrote the bytes, and may have damaged them. Each size is compared with
//        what is left before it is believed, and the depth is bounded. What does not fit is
//        raise_damaged(). Which classes a message names is not checked, as with pickle.
// Order: objects are numbered where the writer numbers them; see number().
#include "object_reader.hpp"

#include <array>
#include <string>

#include "attributes.hpp"
#include "object_state.hpp"
#include "remedies.hpp"
#include "value_tags.hpp"

namespace forkful::python {
namespace {

// As pickle does: what is not a list is extended by so many items at a time.
constexpr Py_ssize_t kBatch = 1000;

// Appends without looking for room where the list has some. Steals `item`.
bool append(PyObject* list, PyObject* item) {
  auto* to = reinterpret_cast<PyListObject*>(list);
  const Py_ssize_t size = Py_SIZE(to);
  if (size < to->allocated) {
    to->ob_item[size] = item;
    Py_SET_SIZE(to, size + 1);
    return true;
  }
  const Ref owned(item);
  return PyList_Append(list, item) == 0;
}

// An empty list with room for `count` items. Why not a list of that size: code that runs while its
// items are read may see it.
PyObject* list_with_room(std::uint32_t count) {
  PyObject* list = PyList_New(count);
  if (list != nullptr) Py_SET_SIZE(list, 0);
  return list;
}

PyObject* new_instance(PyObject* type, PyObject* args, PyObject* named) {
  auto* made = reinterpret_cast<PyTypeObject*>(type);
  if (!PyType_Check(type) || made->tp_new == nullptr) {
    PyErr_Format(PyExc_TypeError, "%R makes no instances", type);
    return nullptr;
  }
  return made->tp_new(made, args, named);
}

PyObject* find_class(std::string_view module, std::string_view path) {
  const Ref name(
      PyUnicode_FromStringAndSize(module.data(), static_cast<Py_ssize_t>(module.size())));
  if (!name) return nullptr;
  const Ref whole(PyUnicode_FromStringAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
  if (!whole) return nullptr;
  if (PySys_Audit("pickle.find_class", "OO", name.get(), whole.get()) != 0) return nullptr;
  // Imports where it has to, and waits for whoever is importing it.
  const Ref top(PyImport_ImportModuleLevelObject(name.get(), nullptr, nullptr, nullptr, 0));
  if (!top) return nullptr;
  Ref found(PyImport_GetModule(name.get()));
  if (!found && PyErr_Occurred() != nullptr) return nullptr;
  if (!follow_path(path, found)) return nullptr;
  if (!found) {
    PyErr_Format(PyExc_AttributeError, "Can't get attribute %R on module %R", whole.get(),
                 name.get());
    note_missing();
  }
  return found.release();
}

}  // namespace

// False: the message ends before. No exception is set, here and in the next two.
template <class T>
bool ObjectReader::take(T& value) {
  if (from_.size() < sizeof value) return false;
  std::memcpy(&value, from_.data(), sizeof value);
  from_ = from_.subspan(sizeof value);
  return true;
}

bool ObjectReader::take_bytes(bytes::Bytes& bytes) {
  std::uint32_t size = 0;
  if (!take(size) || size > from_.size()) return false;
  bytes = from_.first(size);
  from_ = from_.subspan(size);
  return true;
}

// A number of things, each of at least so many bytes: memory is allocated for no more things than
// the message has room for.
bool ObjectReader::take_count(std::uint32_t& count, std::size_t least) {
  return take(count) && count <= from_.size() / least;
}

// Why a reference of its own for each: code that runs may drop an object that kAgain names later.
// The numbers must be those of the writer's memo, so whatever adds an object there adds it here at
// the same place: a container that can contain itself before its items, a tuple, a frozenset and
// what a callable makes after that which it is made of.
PyObject* ObjectReader::number(PyObject* object) {
  if (object != nullptr) objects_.push_back(Ref::borrow(object));
  return object;
}

PyObject* ObjectReader::read(bytes::Bytes& from) {
  from_ = from;
  depth_ = 0;
  PyObject* object = nullptr;
  try {
    object = item();
  } catch (...) {
    raise_current();
  }
  // A guess: 128 KiB. Clearing may run finalizers; they cannot come back to this reader.
  constexpr std::size_t kMostKept = std::size_t{1} << 14;
  if (objects_.capacity() > kMostKept) {
    std::vector<Ref>().swap(objects_);
  } else {
    objects_.clear();
  }
  from = from_;
  return object;
}

PyObject* ObjectReader::item() {
  unsigned char tag = 0;
  if (!take(tag)) return raise_damaged();
  switch (tag) {
    case kNone:
      Py_RETURN_NONE;
    case kFalse:
      Py_RETURN_FALSE;
    case kTrue:
      Py_RETURN_TRUE;
    case kInt: {
      long long value = 0;
      return take(value) ? PyLong_FromLongLong(value) : raise_damaged();
    }
    case kFloat: {
      double value = 0;
      return take(value) ? PyFloat_FromDouble(value) : raise_damaged();
    }
    case kAscii:
    case kText:
    case kBytes:
      return text(tag);
    default:
      break;
  }
  // One deeper than writers go, who do not count the class of an instance as a level.
  if (depth_ > kMostNested) return raise_damaged();
  ++depth_;
  PyObject* object = nested(tag);
  --depth_;
  return object;
}

PyObject* ObjectReader::nested(unsigned char tag) {
  switch (tag) {
    case kLongInt:
      return long_int();
    case kByteArray: {
      bytes::Bytes bytes;
      if (!take_bytes(bytes)) return raise_damaged();
      return number(PyByteArray_FromStringAndSize(reinterpret_cast<const char*>(bytes.data()),
                                                  static_cast<Py_ssize_t>(bytes.size())));
    }
    case kTupleOf:
      return tuple();
    case kListOf:
      return list();
    case kDictOf:
      return dict();
    case kSetOf:
    case kFrozenSetOf:
      return set(tag);
    case kAgain:
      return again();
    case kGlobal:
    case kConstant:
      return constant(tag);
    case kPlain:
      return plain();
    case kMade:
      return made();
    default:
      return raise_damaged();
  }
}

// Surrogates are let through here and not in values.cpp, as the writers do on the other side.
PyObject* ObjectReader::text(unsigned char tag) {
  bytes::Bytes bytes;
  if (!take_bytes(bytes)) return raise_damaged();
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  const auto size = static_cast<Py_ssize_t>(bytes.size());
  PyObject* object = nullptr;
  if (tag == kBytes) {
    object = PyBytes_FromStringAndSize(data, size);
  } else if (tag == kText) {
    object = PyUnicode_DecodeUTF8(data, size, "surrogatepass");
  } else {
    object = ascii_text(data, bytes.size());
  }
  return bytes.size() >= kMostRepeated ? number(object) : object;
}

// A key of a dict: mostly a short text, which is in the cache with its hash. Such a one has no
// number, which begins at longer texts.
PyObject* ObjectReader::key() {
  static_assert(KeyCache::kMostSize < kMostRepeated);
  std::uint32_t size = 0;
  if (from_.size() > 1 + sizeof size && from_[0] == std::byte{kAscii}) {
    std::memcpy(&size, from_.data() + 1, sizeof size);
    const bytes::Bytes rest = from_.subspan(1 + sizeof size);
    if (size <= KeyCache::kMostSize && size <= rest.size()) {
      from_ = rest.subspan(size);
      return keys_.text(reinterpret_cast<const char*>(rest.data()), size);
    }
  }
  return item();
}

// In base 16, which takes time in proportion to the length, and to which Python's limit on the
// digits of an int does not apply. A copy, since the text in the message does not end with a 0.
PyObject* ObjectReader::long_int() {
  bytes::Bytes digits;
  if (!take_bytes(digits)) return raise_damaged();
  const std::string text(reinterpret_cast<const char*>(digits.data()), digits.size());
  return PyLong_FromString(text.c_str(), nullptr, 16);
}

PyObject* ObjectReader::again() {
  std::uint32_t index = 0;
  if (!take(index) || index >= objects_.size()) return raise_damaged();
  return Py_NewRef(objects_[index].get());
}

PyObject* ObjectReader::list() {
  std::uint32_t count = 0;
  if (!take_count(count)) return raise_damaged();
  Ref list(list_with_room(count));
  if (!number(list.get())) return nullptr;
  for (std::uint32_t i = 0; i < count; ++i) {
    PyObject* each = item();
    if (each == nullptr || !append(list.get(), each)) return nullptr;
  }
  return list.release();
}

// The next `count` items. Code that runs while they are read could find the tuple by the garbage
// collector, and would crash at its holes; so the collector knows it only when it is whole.
PyObject* ObjectReader::tuple_of(std::uint32_t count) {
  Ref tuple(PyTuple_New(count));
  if (!tuple || count == 0) return tuple.release();
  PyObject_GC_UnTrack(tuple.get());
  for (std::uint32_t i = 0; i < count; ++i) {
    PyObject* each = item();
    if (each == nullptr) return nullptr;
    PyTuple_SET_ITEM(tuple.get(), i, each);
  }
  PyObject_GC_Track(tuple.get());
  return tuple.release();
}

PyObject* ObjectReader::tuple() {
  std::uint32_t count = 0;
  if (!take_count(count)) return raise_damaged();
  PyObject* tuple = tuple_of(count);
  return count != 0 ? number(tuple) : tuple;
}

PyObject* ObjectReader::dict() {
  std::uint32_t count = 0;
  if (!take_count(count, 2)) return raise_damaged();
  Ref dict(PyDict_New());
  if (!number(dict.get()) || !pairs_into(dict.get(), count, false)) return nullptr;
  return dict.release();
}

// `names`: the keys are those of attributes, which are interned as pickle does it.
bool ObjectReader::pairs_into(PyObject* dict, std::uint32_t count, bool names) {
  for (std::uint32_t i = 0; i < count; ++i) {
    PyObject* one = key();
    if (one != nullptr && names && PyUnicode_CheckExact(one)) PyUnicode_InternInPlace(&one);
    const Ref name(one);
    const Ref value(name ? item() : nullptr);
    if (!value || PyDict_SetItem(dict, name.get(), value.get()) != 0) return false;
  }
  return true;
}

PyObject* ObjectReader::set(unsigned char tag) {
  std::uint32_t count = 0;
  if (!take_count(count)) return raise_damaged();
  if (tag == kFrozenSetOf) {
    const Ref items(list_with_room(count));
    if (!items) return nullptr;
    for (std::uint32_t i = 0; i < count; ++i) {
      PyObject* each = item();
      if (each == nullptr || !append(items.get(), each)) return nullptr;
    }
    return number(PyFrozenSet_New(items.get()));
  }
  Ref set(PySet_New(nullptr));
  if (!number(set.get())) return nullptr;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Ref each(item());
    if (!each || PySet_Add(set.get(), each.get()) != 0) return nullptr;
  }
  return set.release();
}

// Looked for by the bytes of the name: importing and following a path takes longer than all the
// rest of a small object. Of few classes a walk is the fastest way.
PyObject* ObjectReader::constant(unsigned char tag) {
  bytes::Bytes name;
  if (!take_bytes(name)) return raise_damaged();
  for (const Known& known : known_) {
    if (known.name.size() == name.size() &&
        std::memcmp(known.name.data(), name.data(), name.size()) == 0)
      return Py_NewRef(known.object.get());
  }
  Ref object(tag == kGlobal ? global(name) : value_of(name));
  if (!object) return nullptr;
  constexpr std::size_t kMostKnown = 32;
  if (known_.size() == kMostKnown) known_.clear();
  known_.push_back({name, Ref::borrow(object.get())});
  return object.release();
}

// What a constant is: a value of its own, whose objects have numbers of their own. Writers put none
// into another one but as a pickle; a message that says otherwise without end is damaged, and would
// overrun the stack.
PyObject* ObjectReader::value_of(bytes::Bytes constant) {
  constexpr int kMostWithin = 4;
  if (constant.empty() || constant[0] != std::byte{kObject}) return decode(constant);
  if (within_ == kMostWithin) return raise_damaged();
  constant = constant.subspan(1);
  ObjectReader reader;
  reader.within_ = within_ + 1;
  return reader.read(constant);
}

PyObject* ObjectReader::global(bytes::Bytes name) {
  const std::string_view all(reinterpret_cast<const char*>(name.data()), name.size());
  const std::size_t end = all.find('\0');
  if (end == std::string_view::npos) return raise_damaged();
  return find_class(all.substr(0, end), all.substr(end + 1));
}

// What object.__reduce_ex__() comes to for most classes. The pairs go into the instance's own
// __dict__, without another dict in between, as far as the class has not got a __setstate__() since
// it was written; pickle would call that.
PyObject* ObjectReader::plain() {
  const Ref type(item());
  if (!type) return nullptr;
  const Ref none(PyTuple_New(0));
  Ref object(none ? new_instance(type.get(), none.get(), nullptr) : nullptr);
  std::uint32_t count = 0;
  if (!number(object.get())) return nullptr;
  if (!take_count(count, 2)) return raise_damaged();
  if (count == 0) return object.release();  // as with pickle, an empty state is none
  Ref setter;
  if (!find_setter(object.get(), setter)) return nullptr;
  if (setter) {
    const Ref state(PyDict_New());
    if (!state || !pairs_into(state.get(), count, false)) return nullptr;
    const Ref done(PyObject_CallOneArg(setter.get(), state.get()));
    return done ? object.release() : nullptr;
  }
  static PyObject* const name = PyUnicode_InternFromString("__dict__");
  const Ref dict(PyObject_GetAttr(object.get(), name));
  if (!dict) return nullptr;
  if (PyDict_CheckExact(dict.get()))
    return pairs_into(dict.get(), count, true) ? object.release() : nullptr;
  const Ref state(PyDict_New());
  const bool done =
      state && pairs_into(state.get(), count, true) && set_dict(object.get(), state.get());
  return done ? object.release() : nullptr;
}

PyObject* ObjectReader::make(unsigned char how, std::uint32_t count) {
  constexpr std::uint32_t kFew = 8;
  const Ref maker(item());
  if (!maker) return nullptr;
  if (how == kByCall && count <= kFew) {
    // Room ahead of the arguments spares bound methods a copy of them.
    std::array<Ref, kFew> held;
    std::array<PyObject*, kFew + 1> args{};
    for (std::uint32_t i = 0; i < count; ++i) {
      held[i] = Ref(item());
      if (!held[i]) return nullptr;
      args[i + 1] = held[i].get();
    }
    return PyObject_Vectorcall(maker.get(), args.data() + 1, count | PY_VECTORCALL_ARGUMENTS_OFFSET,
                               nullptr);
  }
  const Ref args(tuple_of(count));
  if (!args) return nullptr;
  if (how == kByCall) return PyObject_CallObject(maker.get(), args.get());
  if (how == kByNew) return new_instance(maker.get(), args.get(), nullptr);
  PyObject* positional = count == 2 ? PyTuple_GET_ITEM(args.get(), 0) : nullptr;
  PyObject* named = count == 2 ? PyTuple_GET_ITEM(args.get(), 1) : nullptr;
  if (count != 2 || !PyTuple_Check(positional) || !PyDict_Check(named)) return raise_damaged();
  return new_instance(maker.get(), positional, named);
}

PyObject* ObjectReader::made() {
  unsigned char flags = 0;
  std::uint32_t count = 0;
  if (!take(flags) || !take_count(count)) return raise_damaged();
  Ref object(make(flags & kHow, count));
  if (!number(object.get())) return nullptr;
  if ((flags & kAppends) != 0 && !append_all(object.get())) return nullptr;
  if ((flags & kSetsItems) != 0 && !set_items(object.get())) return nullptr;
  if ((flags & kHasState) == 0) return object.release();
  const bool has_setter = (flags & kHasSetter) != 0;
  const Ref setter(has_setter ? item() : nullptr);
  const Ref state(has_setter && !setter ? nullptr : item());
  if (!state) return nullptr;
  if (!has_setter) return give_state(object.get(), state.get()) ? object.release() : nullptr;
  const Ref done(PyObject_CallFunctionObjArgs(setter.get(), object.get(), state.get(), nullptr));
  return done ? object.release() : nullptr;
}

bool ObjectReader::at_end() {
  if (from_.empty() || from_[0] != std::byte{kEnd}) return false;
  from_ = from_.subspan(1);
  return true;
}

// As pickle does: extend() where there is one, and append() for classes that have only that.
bool ObjectReader::append_batch(PyObject* object, PyObject* batch) {
  Ref extend;
  if (!optional_attribute(object, "extend", extend)) return false;
  if (extend) return bool(Ref(PyObject_CallOneArg(extend.get(), batch)));
  const Ref append_one(PyObject_GetAttrString(object, "append"));
  if (!append_one) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(batch); ++i) {
    const Ref each = Ref::borrow(PyList_GET_ITEM(batch, i));
    if (!Ref(PyObject_CallOneArg(append_one.get(), each.get()))) return false;
  }
  return true;
}

bool ObjectReader::append_all(PyObject* object) {
  while (!at_end()) {
    const Ref batch(PyList_New(0));
    if (!batch) return false;
    bool end = false;
    while (!end) {
      PyObject* each = item();
      if (each == nullptr || !append(batch.get(), each)) return false;
      end =
          PyList_GET_SIZE(batch.get()) == kBatch || (!from_.empty() && from_[0] == std::byte{kEnd});
    }
    const bool done = PyList_CheckExact(object) ? PyList_SetSlice(object, PY_SSIZE_T_MAX,
                                                                  PY_SSIZE_T_MAX, batch.get()) == 0
                                                : append_batch(object, batch.get());
    if (!done) return false;
  }
  return true;
}

// A subclass of dict may have a __setitem__() of its own, which is called.
bool ObjectReader::set_items(PyObject* object) {
  while (!at_end()) {
    const Ref name(key());
    const Ref value(name ? item() : nullptr);
    if (!value) return false;
    const int how = PyDict_CheckExact(object) ? PyDict_SetItem(object, name.get(), value.get())
                                              : PyObject_SetItem(object, name.get(), value.get());
    if (how != 0) return false;
  }
  return true;
}

}  // namespace forkful::python
