// Objects that are no built-in ones: by what their reducer says, which is looked up once a class.
//
// Which reducer counts is pickle's order: one that was registered with ForkingPickler, one of
// copyreg, then the object's __reduce_ex__(). Calling that takes longer than all the rest for a
// plain object, so the first one of a class is reduced in full, and where that came to the class
// and its __dict__, the next ones are written so without asking.
//
// What is known of a class is good for one message, or for the results of one chunk (forget()):
// whoever changes a class, or registers a reducer, in between finds it as pickle would.
#include "attributes.hpp"
#include "object_writer.hpp"

namespace forkful::python {
namespace {

// numpy.dtype and its subclasses, one for each type of number.
bool is_number_type(PyTypeObject* type) {
  constexpr std::string_view kName = "numpy.dtype";
  return std::string_view(type->tp_name).starts_with(kName);
}

// Whether it is socket.socket, perhaps. Its reducer is registered by a module of ours that imports
// sockets, which most programs do not need.
bool may_be_socket(PyTypeObject* type) { return std::string_view(type->tp_name) == "socket"; }

// Whether the class has it from object itself. Where it cannot be looked at, it is another one.
bool same_attribute(PyTypeObject* type, const char* name) {
  Ref own(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), name));
  Ref objects(PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyBaseObject_Type), name));
  PyErr_Clear();
  return own && own.get() == objects.get();
}

bool has_attribute(PyTypeObject* type, const char* name) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(type), name) != 0;
}

}  // namespace

// On the object and not its type, as pickle does: an instance may have one of its own.
PyObject* ObjectWriter::reduce(PyObject* object) {
  static PyObject* const name = PyUnicode_InternFromString("__reduce_ex__");
  static PyObject* const protocol = PyLong_FromLong(5);
  return PyObject_CallMethodOneArg(object, name, protocol);
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
    if (may_be_socket(type) && !Ref(PyImport_ImportModule("forkful._handles"))) return nullptr;
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
  // Their name was what the reducer said, and is known by the object itself.
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
  // Taken out before code runs, which may move what kinds_ has.
  const bool look = kind->maybe_plain;
  const Ref reducer = Ref::borrow(kind->reducer.get());
  Ref reduced(reducer ? PyObject_CallOneArg(reducer.get(), object) : reduce(object));
  if (!reduced) return Encoded::failed;
  if (look && !note_reduced(object, reduced.get())) return Encoded::failed;
  if (PyUnicode_Check(reduced.get())) return put_name(object, reduced.get());
  return put_reduced(object, reduced.get());
}

// What the first object of a class came to tells how to reduce the next ones. False with an
// exception set.
bool ObjectWriter::note_reduced(PyObject* object, PyObject* reduced) {
  const bool by_text = PyUnicode_Check(reduced) != 0;
  const Encoded plain = by_text ? Encoded::no : is_plain(object, reduced);
  if (plain == Encoded::failed) return false;
  for (Kind& each : kinds_) {
    if (each.type.get() != reinterpret_cast<PyObject*>(Py_TYPE(object))) continue;
    each.maybe_plain = false;
    each.by_text = by_text;
    each.plain = plain == Encoded::yes;
  }
  return true;
}

// Whether object.__reduce_ex__ comes to the same for each object of this class: the class, and what
// is in __dict__.
Encoded ObjectWriter::is_plain(PyObject* object, PyObject* reduced) {
  PyTypeObject* type = Py_TYPE(object);
  if (!PyTuple_Check(reduced) || PyTuple_GET_SIZE(reduced) != 5) return Encoded::no;
  PyObject* args = PyTuple_GET_ITEM(reduced, 1);
  PyObject* state = PyTuple_GET_ITEM(reduced, 2);
  if (PyTuple_GET_ITEM(reduced, 0) != pickling().new_object ||
      PyTuple_GET_ITEM(reduced, 3) != Py_None || PyTuple_GET_ITEM(reduced, 4) != Py_None ||
      !PyTuple_Check(args) || PyTuple_GET_SIZE(args) != 1 ||
      PyTuple_GET_ITEM(args, 0) != reinterpret_cast<PyObject*>(type) ||
      (state != Py_None && !PyDict_CheckExact(state)) ||
      type->tp_getattro != PyObject_GenericGetAttr || type->tp_itemsize != 0)
    return Encoded::no;
  for (const char* name : {"__reduce_ex__", "__reduce__", "__getstate__"}) {
    if (!same_attribute(type, name)) return Encoded::no;
  }
  for (const char* name : {"__getnewargs__", "__getnewargs_ex__"}) {
    if (has_attribute(type, name)) return Encoded::no;
  }
  // The reducer has just had its answer from this function: where it raises now, a signal's handler
  // has, and that exception is the caller's.
  Ref slots(PyObject_CallOneArg(pickling().slot_names, reinterpret_cast<PyObject*>(type)));
  Ref of_class;
  if (!slots || !optional_attribute(object, "__class__", of_class)) return Encoded::failed;
  if (PyObject_Not(slots.get()) != 1 || of_class.get() != reinterpret_cast<PyObject*>(type))
    return Encoded::no;
  const Ref dict(PyObject_GenericGetDict(object, nullptr));
  if (!dict) PyErr_Clear();  // its objects have no attributes of their own
  return dict ? Encoded::yes : Encoded::no;
}

// The class comes first, then the object has its number: the reader has it when it is made.
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
  // By its __new__: the class, which is the first argument, takes the place of the callable.
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

// Of an iterator nobody knows how many there are, so an end is written after them.
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

}  // namespace forkful::python
