#include "object_writer.hpp"

#include <bit>

#include "attributes.hpp"

namespace forkful::python {
namespace {

// Larger texts, bytes and buffers are sent from where they are: writing down where costs about as
// much as copying this many bytes does.
constexpr std::size_t kMostCopied = 2048;
constexpr std::size_t kMostSized = 0xffffffff;

constexpr Encoded done(bool ok) { return ok ? Encoded::yes : Encoded::failed; }

// Appends "module, 0, qualified name" when these lead to `object`. `name`: what its __reduce__
// said, or null.
Encoded find_name(PyObject* object, PyObject* name, std::string& into) {
  Ref qualified = Ref::borrow(name);
  Ref module;
  if (!qualified && !optional_attribute(object, "__qualname__", qualified)) return Encoded::failed;
  if (!optional_attribute(object, "__module__", module)) return Encoded::failed;
  if (!qualified || !module || !PyUnicode_Check(qualified.get()) || !PyUnicode_Check(module.get()))
    return Encoded::no;
  Py_ssize_t module_size = 0;
  Py_ssize_t name_size = 0;
  const char* module_text = PyUnicode_AsUTF8AndSize(module.get(), &module_size);
  const char* name_text =
      module_text != nullptr ? PyUnicode_AsUTF8AndSize(qualified.get(), &name_size) : nullptr;
  if (name_text == nullptr) {
    PyErr_Clear();
    return Encoded::no;
  }
  const std::string_view path(name_text, static_cast<std::size_t>(name_size));
  Ref found(PyImport_GetModule(module.get()));
  if (!found) return PyErr_Occurred() != nullptr ? Encoded::failed : Encoded::no;
  if (!follow_path(path, found)) return Encoded::failed;
  if (found.get() != object) return Encoded::no;
  into.append(module_text, static_cast<std::size_t>(module_size));
  into.push_back('\0');
  into.append(path);
  return Encoded::yes;
}

std::string sized(Tag tag, std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string all(1, static_cast<char>(tag));
  all.append(reinterpret_cast<const char*>(&size), sizeof size);
  return all.append(bytes);
}

// numpy.dtype and its subclasses, one for each type of number.
bool is_number_type(PyTypeObject* type) {
  constexpr std::string_view kName = "numpy.dtype";
  return std::string_view(type->tp_name).starts_with(kName);
}

bool same_attribute(PyTypeObject* type, const char* name) {
  Ref own(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), name));
  Ref objects(PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyBaseObject_Type), name));
  return own && own.get() == objects.get();
}

bool has_attribute(PyTypeObject* type, const char* name) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(type), name) != 0;
}

// Names with two underscores may be pickle's own hooks, set on an instance.
bool is_hook(PyObject* name) {
  return PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) > 2 &&
         PyUnicode_READ_CHAR(name, 0) == '_' && PyUnicode_READ_CHAR(name, 1) == '_';
}

PyObject* reduce(PyObject* object) {
  static PyObject* const name = PyUnicode_InternFromString("__reduce_ex__");
  static PyObject* const protocol = PyLong_FromLong(5);
  return PyObject_CallMethodOneArg(object, name, protocol);
}

}  // namespace

std::size_t ObjectMemo::place(PyObject* object) const {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(object) >> 4) * kGolden >>
                                  shift_);
}

bool ObjectMemo::find(PyObject* object, std::uint32_t& index) const {
  if (held_.empty()) return false;
  for (std::size_t i = place(object);; i = (i + 1) & (entries_.size() - 1)) {
    const Entry& entry = entries_[i];
    if (entry.round != round_) return false;
    if (entry.object == object) {
      index = entry.index;
      return true;
    }
  }
}

bool ObjectMemo::find_or_add(PyObject* object, std::uint32_t& index) {
  if (2 * held_.size() >= entries_.size()) grow();
  for (std::size_t i = place(object);; i = (i + 1) & (entries_.size() - 1)) {
    Entry& entry = entries_[i];
    if (entry.round != round_) {
      entry = {object, round_, static_cast<std::uint32_t>(held_.size())};
      held_.push_back(Py_NewRef(object));
      return false;
    }
    if (entry.object == object) {
      index = entry.index;
      return true;
    }
  }
}

void ObjectMemo::grow() {
  constexpr std::size_t kFirst = 64;
  const std::size_t size = entries_.empty() ? kFirst : entries_.size() * 2;
  entries_.assign(size, Entry{nullptr, 0, 0});
  round_ = 1;
  shift_ = 64 - std::countr_zero(size);
  for (std::uint32_t index = 0; index < held_.size(); ++index) {
    std::size_t i = place(held_[index]);
    while (entries_[i].round == round_) i = (i + 1) & (size - 1);
    entries_[i] = {held_[index], round_, index};
  }
}

void ObjectMemo::clear() {
  constexpr std::size_t kMostKept = std::size_t{1} << 14;
  for (PyObject* object : held_) Py_DECREF(object);
  held_.clear();
  if (entries_.size() > kMostKept) {
    entries_ = {};
    held_ = {};
  } else if (++round_ == 0) {
    entries_.clear();
  }
}

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

// A bytearray, or the memory that a pickle.PickleBuffer stands for.
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
  std::memcpy(into_->at(before + 1), &count, sizeof count);
  return Encoded::yes;
}

Encoded ObjectWriter::put_tuple(PyObject* tuple) {
  std::uint32_t index = 0;
  const Py_ssize_t count = PyTuple_GET_SIZE(tuple);
  if (count > 0 && memo_.find(tuple, index)) return put_again(index);
  if (!put_number(*into_, kTupleOf, static_cast<std::uint32_t>(count))) return Encoded::failed;
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

Encoded ObjectWriter::put_pairs(PyObject* dict, bool of_instance) {
  const Py_ssize_t size = PyDict_GET_SIZE(dict);
  const auto count = static_cast<std::uint32_t>(size);
  std::byte* at = into_->extend(sizeof count);
  if (at == nullptr) return Encoded::failed;
  std::memcpy(at, &count, sizeof count);
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
    if (PyDict_GET_SIZE(dict) != size) {
      PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
      return Encoded::failed;
    }
  }
  return Encoded::yes;
}

Encoded ObjectWriter::put_set(PyObject* set, Tag tag) {
  std::uint32_t index = 0;
  const bool seen = tag == kSetOf ? memo_.find_or_add(set, index) : memo_.find(set, index);
  if (seen) return put_again(index);
  if (!put_number(*into_, tag, static_cast<std::uint32_t>(PySet_GET_SIZE(set))))
    return Encoded::failed;
  Ref items(PyObject_GetIter(set));
  if (!items) return Encoded::failed;
  while (Ref item{PyIter_Next(items.get())}) {
    if (const Encoded how = put(item.get()); how != Encoded::yes) return how;
  }
  if (PyErr_Occurred() != nullptr) return Encoded::failed;
  if (tag == kFrozenSetOf && memo_.find_or_add(set, index)) return Encoded::no;
  return Encoded::yes;
}

// Looks up how objects of `type` are reduced. nullptr with an exception set, or the answer, which
// is good until the next call.
const ObjectWriter::Kind* ObjectWriter::kind_of(PyTypeObject* type) {
  auto* key = reinterpret_cast<PyObject*>(type);
  for (const Kind& kind : kinds_) {
    if (kind.type.get() == key) return &kind;
  }
  PyObject* reducer = nullptr;
  const bool by_name = type == &PyType_Type || type == &PyFunction_Type;
  if (!by_name) {
    reducer = PyDict_GetItemWithError(pickling().reducers, key);
    if (reducer == nullptr && PyErr_Occurred() == nullptr)
      reducer = PyDict_GetItemWithError(pickling().more_reducers, key);
    if (reducer == nullptr && PyErr_Occurred() != nullptr) return nullptr;
  }
  if (kinds_.size() == kMostKinds) kinds_.clear();
  const bool is_class = PyType_IsSubtype(type, &PyType_Type) != 0;
  kinds_.push_back({Ref::borrow(key), Ref::borrow(reducer), by_name || (!reducer && is_class),
                    false, !reducer && is_number_type(type), !reducer, false});
  return &kinds_.back();
}

Encoded ObjectWriter::put_object(PyObject* object) {
  std::uint32_t index = 0;
  if (memo_.find(object, index)) return put_again(index);
  PyTypeObject* type = Py_TYPE(object);
  const Kind* kind = kind_of(type);
  if (kind == nullptr) return Encoded::failed;
  if (kind->named) return put_name(object, nullptr);
  if (kind->by_text) {
    if (const std::string* bytes = known(object)) return put_known(*bytes);
  }
  if (kind->constant) {
    if (const Encoded how = put_constant(object); how != Encoded::no) return how;
    kind = kind_of(type);
    if (kind == nullptr) return Encoded::failed;
  }
  if (kind->plain) {
    Ref state(PyObject_GenericGetDict(object, nullptr));
    if (!state) return Encoded::failed;
    if (PyDict_CheckExact(state.get())) return put_plain(object);
  }
  const bool look = kind->maybe_plain;
  const Ref reducer = Ref::borrow(kind->reducer.get());
  Ref reduced(reducer ? PyObject_CallOneArg(reducer.get(), object) : reduce(object));
  if (!reduced) return Encoded::failed;
  if (look) note_reduced(object, reduced.get());
  if (PyUnicode_Check(reduced.get())) return put_name(object, reduced.get());
  return put_reduced(object, reduced.get());
}

// What the first object of a class came to tells how to reduce the next ones.
void ObjectWriter::note_reduced(PyObject* object, PyObject* reduced) {
  const bool by_text = PyUnicode_Check(reduced) != 0;
  const bool plain = !by_text && is_plain(object, reduced);
  PyErr_Clear();
  for (Kind& each : kinds_) {
    if (each.type.get() != reinterpret_cast<PyObject*>(Py_TYPE(object))) continue;
    each.maybe_plain = false;
    each.by_text = by_text;
    each.plain = plain;
  }
}

// Whether object.__reduce_ex__ comes to the same for each object of this class: the class, and what
// is in __dict__.
bool ObjectWriter::is_plain(PyObject* object, PyObject* reduced) {
  PyTypeObject* type = Py_TYPE(object);
  if (!PyTuple_Check(reduced) || PyTuple_GET_SIZE(reduced) != 5) return false;
  PyObject* args = PyTuple_GET_ITEM(reduced, 1);
  PyObject* state = PyTuple_GET_ITEM(reduced, 2);
  if (PyTuple_GET_ITEM(reduced, 0) != pickling().new_object ||
      PyTuple_GET_ITEM(reduced, 3) != Py_None || PyTuple_GET_ITEM(reduced, 4) != Py_None ||
      !PyTuple_Check(args) || PyTuple_GET_SIZE(args) != 1 ||
      PyTuple_GET_ITEM(args, 0) != reinterpret_cast<PyObject*>(type) ||
      (state != Py_None && !PyDict_CheckExact(state)) ||
      type->tp_getattro != PyObject_GenericGetAttr || type->tp_itemsize != 0)
    return false;
  for (const char* name : {"__reduce_ex__", "__reduce__", "__getstate__"}) {
    if (!same_attribute(type, name)) return false;
  }
  for (const char* name : {"__getnewargs__", "__getnewargs_ex__"}) {
    if (has_attribute(type, name)) return false;
  }
  Ref slots(PyObject_CallOneArg(pickling().slot_names, reinterpret_cast<PyObject*>(type)));
  Ref dict(PyObject_GenericGetDict(object, nullptr));
  Ref of_class(PyObject_GetAttrString(object, "__class__"));
  return slots && dict && PyObject_Not(slots.get()) == 1 &&
         of_class.get() == reinterpret_cast<PyObject*>(type);
}

Encoded ObjectWriter::put_plain(PyObject* object) {
  if (!put_tag(*into_, kPlain)) return Encoded::failed;
  const Encoded how = put_name(reinterpret_cast<PyObject*>(Py_TYPE(object)), nullptr);
  if (how != Encoded::yes) return how;
  std::uint32_t index = 0;
  memo_.find_or_add(object, index);
  Ref state(PyObject_GenericGetDict(object, nullptr));
  return state ? put_pairs(state.get(), true) : Encoded::failed;
}

// What a reducer answers: (callable, arguments, state, items to append, pairs to set, setter), the
// last four of them optional.
struct ObjectWriter::Reduced {
  PyObject* callable = nullptr;
  PyObject* arguments = nullptr;
  PyObject* state = nullptr;
  PyObject* appends = nullptr;
  PyObject* pairs = nullptr;
  PyObject* setter = nullptr;

  // False where pickle would refuse it.
  bool parse(PyObject* reduced) {
    if (!PyTuple_Check(reduced)) return false;
    const Py_ssize_t size = PyTuple_GET_SIZE(reduced);
    if (size < 2 || size > 6) return false;
    const auto optional = [&](Py_ssize_t i) {
      PyObject* each = i < size ? PyTuple_GET_ITEM(reduced, i) : Py_None;
      return each == Py_None ? nullptr : each;
    };
    callable = PyTuple_GET_ITEM(reduced, 0);
    arguments = PyTuple_GET_ITEM(reduced, 1);
    state = optional(2);
    appends = optional(3);
    pairs = optional(4);
    setter = optional(5);
    return PyCallable_Check(callable) != 0 && PyTuple_Check(arguments) &&
           (appends == nullptr || PyIter_Check(appends) != 0) &&
           (pairs == nullptr || PyIter_Check(pairs) != 0) &&
           (setter == nullptr || PyCallable_Check(setter) != 0);
  }

  [[nodiscard]] Made how() const {
    if (callable == pickling().new_object) return kByNew;
    return callable == pickling().new_named ? kByNewNamed : kByCall;
  }
  // Whether the class that is to make it is its own.
  [[nodiscard]] bool makes(PyObject* object) const {
    const Py_ssize_t size = PyTuple_GET_SIZE(arguments);
    if (size < 1 || (how() == kByNewNamed && size != 3)) return false;
    PyObject* type = PyTuple_GET_ITEM(arguments, 0);
    if (!PyType_Check(type)) return false;
    if (type == reinterpret_cast<PyObject*>(Py_TYPE(object))) return true;
    Ref own(PyObject_GetAttrString(object, "__class__"));
    PyErr_Clear();
    return own.get() == type;
  }
};

Encoded ObjectWriter::put_reduced(PyObject* object, PyObject* reduced) {
  Reduced parts;
  if (!parts.parse(reduced)) return Encoded::no;
  const Made made = parts.how();
  if (made != kByCall && !parts.makes(object)) return Encoded::no;
  const Py_ssize_t first = made == kByCall ? 0 : 1;
  const Py_ssize_t size = PyTuple_GET_SIZE(parts.arguments);
  const int flags = made | (parts.appends != nullptr ? kAppends : 0) |
                    (parts.pairs != nullptr ? kSetsItems : 0) |
                    (parts.state != nullptr ? kHasState : 0) |
                    (parts.state != nullptr && parts.setter != nullptr ? kHasSetter : 0);
  const auto count = static_cast<std::uint32_t>(size - first);
  std::byte* at = into_->extend(2 + sizeof count);
  if (at == nullptr) return Encoded::failed;
  at[0] = std::byte{kMade};
  at[1] = static_cast<std::byte>(flags);
  std::memcpy(at + 2, &count, sizeof count);
  PyObject* maker = made == kByCall ? parts.callable : PyTuple_GET_ITEM(parts.arguments, 0);
  if (const Encoded how = put(maker); how != Encoded::yes) return how;
  for (Py_ssize_t i = first; i < size; ++i) {
    const Encoded how = put(PyTuple_GET_ITEM(parts.arguments, i));
    if (how != Encoded::yes) return how;
  }
  std::uint32_t index = 0;
  if (memo_.find_or_add(object, index)) return Encoded::no;  // its arguments contain it
  if (parts.appends != nullptr) {
    const Encoded how = put_all_of(parts.appends, false);
    if (how != Encoded::yes) return how;
  }
  if (parts.pairs != nullptr) {
    const Encoded how = put_all_of(parts.pairs, true);
    if (how != Encoded::yes) return how;
  }
  if ((flags & kHasSetter) != 0) {
    if (const Encoded how = put(parts.setter); how != Encoded::yes) return how;
  }
  return parts.state != nullptr ? put(parts.state) : Encoded::yes;
}

Encoded ObjectWriter::put_all_of(PyObject* iterator, bool pairs) {
  while (Ref item{PyIter_Next(iterator)}) {
    Encoded how = Encoded::no;
    if (!pairs) {
      how = put(item.get());
    } else if (PyTuple_Check(item.get()) && PyTuple_GET_SIZE(item.get()) == 2) {
      how = put(PyTuple_GET_ITEM(item.get(), 0));
      if (how == Encoded::yes) how = put(PyTuple_GET_ITEM(item.get(), 1));
    }
    if (how != Encoded::yes) return how;
  }
  return done(PyErr_Occurred() == nullptr && put_tag(*into_, kEnd));
}

const std::string* ObjectWriter::known(PyObject* object) const {
  for (const Name& each : names_) {
    if (each.object.get() == object) return &each.bytes;
  }
  return nullptr;
}

Encoded ObjectWriter::put_known(const std::string& bytes) {
  std::byte* at = into_->extend(bytes.size());
  if (at == nullptr) return Encoded::failed;
  std::memcpy(at, bytes.data(), bytes.size());
  return Encoded::yes;
}

Encoded ObjectWriter::learn(PyObject* object, std::string bytes) {
  if (names_.size() == kMostNames) names_.clear();
  names_.push_back({Ref::borrow(object), std::move(bytes)});
  return put_known(names_.back().bytes);
}

Encoded ObjectWriter::put_name(PyObject* object, PyObject* name) {
  if (const std::string* bytes = known(object)) return put_known(*bytes);
  std::string found;
  switch (find_name(object, name, found)) {
    case Encoded::yes:
      return learn(object, sized(kGlobal, found));
    case Encoded::failed:
      return Encoded::failed;
    case Encoded::no:
      break;
  }
  // Pickle looks further, and says why where there is no way.
  Ref pickled(pickle(object, parts_->gathered()));
  Py_buffer view{};
  if (!pickled || PyObject_GetBuffer(pickled.get(), &view, PyBUF_SIMPLE) != 0)
    return Encoded::failed;
  found.assign(1, static_cast<char>(kPickle));
  found.append(static_cast<const char*>(view.buf), static_cast<std::size_t>(view.len));
  PyBuffer_Release(&view);
  return learn(object, sized(kConstant, found));
}

// One of numpy's own types of numbers never changes. no: it is none of these.
Encoded ObjectWriter::put_constant(PyObject* object) {
  if (const std::string* bytes = known(object)) return put_known(*bytes);
  Ref builtin;
  if (!optional_attribute(object, "isbuiltin", builtin)) return Encoded::failed;
  if (!builtin || !PyLong_Check(builtin.get()) || PyLong_AsLong(builtin.get()) != 1)
    return Encoded::no;
  Parts parts;
  ObjectWriter writer;
  Ref reduced(reduce(object));
  if (!reduced) return Encoded::failed;
  if (!put_tag(parts.head(), kObject)) return Encoded::failed;
  const Encoded how =
      writer.guard(parts, [&] { return writer.put_reduced(object, reduced.get()); });
  if (how != Encoded::yes) return how;
  if (parts.span().size() != 1) return Encoded::no;
  const bytes::Bytes all = parts.span()[0];
  return learn(object, sized(kConstant, {reinterpret_cast<const char*>(all.data()), all.size()}));
}

}  // namespace forkful::python
