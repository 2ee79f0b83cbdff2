// The first step of encoding and decoding: small exact built-ins, and who does all others.
//
// Called for every item of a queue, and for every argument and result of a pool. Simple values run
// no code of anybody, in either direction. Everything else may: an ObjectWriter calls reducers, an
// ObjectReader constructors, and both may come back here, from the same thread or, when such code
// gives the GIL away, from another one.
//
// Order: a simple form first, then the writer's, then pickle's. Each drops what the one before has
//        begun, as that may have stopped in the middle of a value.
#include "values.hpp"

#include "object_reader.hpp"
#include "object_writer.hpp"
#include "remedies.hpp"
#include "value_tags.hpp"

namespace forkful::python {
namespace {

Pickling g_pickling;

// A simple tuple has few items and few levels, so that one which turns out not to be simple costs
// little: what was written of it is dropped, and the writer begins anew.
constexpr Py_ssize_t kMostTuple = 16;
constexpr int kMostDepth = 4;
constexpr Py_ssize_t kMostSimple = 3072;  // larger strings go by another way or are pickled

// One of them between two uses, so that its tables need not be made anew. Whoever takes it owns it:
// code that runs inside may come back, in this thread or another, and then makes a second one.
template <class T>
class Spare {
 public:
  Spare() : mine_(std::exchange(spare_, nullptr)) {
    if (mine_ == nullptr) mine_ = new T;
  }
  ~Spare() {
    mine_->forget();  // what it knows was true for this message
    if (spare_ == nullptr) {
      spare_ = mine_;
    } else {
      delete mine_;
    }
  }
  Spare(const Spare&) = delete;
  Spare& operator=(const Spare&) = delete;
  T* get() { return mine_; }

 private:
  static inline T* spare_ = nullptr;
  T* mine_;
};

constexpr Encoded done(bool ok) { return ok ? Encoded::yes : Encoded::failed; }

// ASCII is copied as it lies in the str. Any other text keeps its UTF-8 once that was asked for, so
// a text that is sent often is converted once.
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

// By exact types: a subclass may have a reducer, and is not simple.
Encoded encode_at(PyObject* object, Buffer& into, int depth) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyLong_Type) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    return overflow != 0 ? Encoded::no : done(put_number(into, kInt, value));
  }
  if (type == &PyUnicode_Type) return encode_text(object, into);
  if (type == &PyFloat_Type) return done(put_number(into, kFloat, PyFloat_AS_DOUBLE(object)));
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
    if (!put_number(into, kTuple, static_cast<unsigned char>(count))) return Encoded::failed;
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

template <class T>
bool take(bytes::Bytes& from, T& value) {
  if (from.size() < sizeof value) return false;
  std::memcpy(&value, from.data(), sizeof value);
  from = from.subspan(sizeof value);
  return true;
}

// Another process wrote the bytes: each size is compared with what is left before it is believed.
PyObject* decode_at(bytes::Bytes& from, int depth, ObjectReader* reader) {
  unsigned char tag = 0;
  if (!take(from, tag)) return raise_damaged();
  switch (tag) {
    case kNone:
      Py_RETURN_NONE;
    case kFalse:
      Py_RETURN_FALSE;
    case kTrue:
      Py_RETURN_TRUE;
    case kInt: {
      long long value = 0;
      return take(from, value) ? PyLong_FromLongLong(value) : raise_damaged();
    }
    case kFloat: {
      double value = 0;
      return take(from, value) ? PyFloat_FromDouble(value) : raise_damaged();
    }
    case kAscii:
    case kText:
    case kBytes: {
      std::uint32_t size = 0;
      if (!take(from, size) || size > from.size()) return raise_damaged();
      const char* data = reinterpret_cast<const char*>(from.data());
      from = from.subspan(size);
      if (tag == kBytes) return PyBytes_FromStringAndSize(data, size);
      if (tag == kText) return PyUnicode_DecodeUTF8(data, size, nullptr);
      return ascii_text(data, size);
    }
    case kTuple: {
      unsigned char count = 0;
      if (!take(from, count) || depth >= kMostDepth) return raise_damaged();
      Ref tuple(PyTuple_New(count));
      if (!tuple) return nullptr;
      for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* item = decode_at(from, depth + 1, reader);
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
    // Only as a whole message, or frame: nobody writes an item within a simple tuple.
    case kObject:
      if (depth > 0) return raise_damaged();
      return reader != nullptr ? reader->read(from) : Spare<ObjectReader>().get()->read(from);
    default:
      return raise_damaged();
  }
}

PyObject* set_pickle(PyObject*, PyObject* args) {
  Pickling all{};
  if (!PyArg_ParseTuple(args, "OOO!O!OOOO:set_pickle", &all.dumps, &all.loads, &PyDict_Type,
                        &all.reducers, &PyDict_Type, &all.more_reducers, &all.new_object,
                        &all.new_named, &all.slot_names, &all.from_handler)) {
    return nullptr;
  }
  // Told once, when forkful.reduction is imported, before anything can be sent.
  for (PyObject* each : {all.dumps, all.loads, all.reducers, all.more_reducers, all.new_object,
                         all.new_named, all.slot_names, all.from_handler}) {
    Py_INCREF(each);  // for as long as the process lives, as the module itself
  }
  g_pickling = all;
  Py_RETURN_NONE;
}

PyObject* use_pickler(PyObject*, PyObject* args) {
  PyObject* dumps = nullptr;
  PyObject* loads = nullptr;
  int for_all = 0;
  if (!PyArg_ParseTuple(args, "OOp:use_pickler", &dumps, &loads, &for_all)) return nullptr;
  // The old ones stay: another thread may be in one of them. A program does this once or twice.
  g_pickling.dumps = Py_NewRef(dumps);
  g_pickling.loads = Py_NewRef(loads);
  g_pickling.for_all = for_all != 0;
  Py_RETURN_NONE;
}

// Whether pickle is asked after the writer: where that does not know how, or was refused an object
// by C code, whose exception has no traceback. Pickle's then shows where it comes from.
bool may_pickle(Encoded how) {
  if (how == Encoded::no) return true;
  if (how == Encoded::yes || !PyErr_ExceptionMatches(PyExc_TypeError)) return false;
  Ref error = take_error();
  if (!Ref(PyException_GetTraceback(error.get()))) return true;
  give_back_error(std::move(error));
  return false;
}

thread_local bool t_main_by_value = false;
bool g_main_by_value = false;  // of this process, which does not have its parent's main module

PyObject* send_main_by_value(PyObject*, PyObject*) {
  g_main_by_value = true;
  Py_RETURN_NONE;
}

PyMethodDef g_functions[] = {
    {"send_main_by_value", send_main_by_value, METH_NOARGS,
     "send_main_by_value()\n--\n\nWhat the main module defines leaves this process by value."},
    {"set_pickle", set_pickle, METH_VARARGS,
     "set_pickle(dumps, loads, reducers, more_reducers, new_object, new_named, slot_names, "
     "from_handler, /)\n"
     "--\n\nHow objects that are no small built-ins become bytes."},
    {"use_pickler", use_pickler, METH_VARARGS,
     "use_pickler(dumps, loads, for_all, /)\n--\n\n"
     "Other functions for that, after set_pickle(); for all objects, or for what is left to "
     "pickle."},
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

// Pickle's bytes are not copied: the view keeps them until the parts go. What the writer had
// gathered before it gave up is dropped with its bytes, as pickle names the same things again.
bool Parts::encode_pickle(PyObject* object) {
  clear();
  if (!put_tag(head_, kPickle)) return false;
  Ref pickled = pickle(object, shares_);
  Ref view(pickled ? PyMemoryView_FromObject(pickled.get()) : nullptr);
  if (!view) return false;
  const Py_buffer* bytes = PyMemoryView_GET_BUFFER(view.get());
  add({static_cast<const std::byte*>(bytes->buf), static_cast<std::size_t>(bytes->len)},
      std::move(view));
  return true;
}

bool Parts::encode(PyObject* object, ObjectWriter* writer) {
  switch (encode_simple(object, head_)) {
    case Encoded::yes:
      return true;
    case Encoded::failed:
      return false;
    case Encoded::no:
      break;
  }
  if (PyBytes_CheckExact(object)) {
    if (!put_tag(head_, kLongBytes)) return false;
    add({reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(object)),
         static_cast<std::size_t>(PyBytes_GET_SIZE(object))},
        Ref::borrow(object));
    return true;
  }
  if (pickling().for_all) return encode_pickle(object);
  if (!put_tag(head_, kObject)) return false;
  Encoded how = Encoded::no;
  {
    const Gathering gathering(shares_);
    how = writer != nullptr ? writer->write(object, *this)
                            : Spare<ObjectWriter>().get()->write(object, *this);
  }
  return how == Encoded::yes || (may_pickle(how) && encode_pickle(object));
}

bool Parts::encode_list(PyObject* const* items, std::uint32_t count) {
  clear();
  if (!put_tag(head_, kObject)) return false;
  Encoded how = Encoded::no;
  if (!pickling().for_all) {
    const Gathering gathering(shares_);
    how = Spare<ObjectWriter>().get()->write_list(items, count, *this);
  }
  if (how == Encoded::yes) return true;
  if (!may_pickle(how)) return false;
  Ref list(PyList_New(count));
  if (!list) return false;
  for (std::uint32_t i = 0; i < count; ++i) PyList_SET_ITEM(list.get(), i, Py_NewRef(items[i]));
  return encode_pickle(list.get());
}

// The head is one run of bytes, which is cut where each piece belongs.
std::span<const bytes::Bytes> Parts::with_pieces() {
  const bytes::Bytes head = head_.bytes();
  all_.clear();
  std::size_t at = 0;
  for (const Piece& piece : pieces_) {
    all_.push_back(head.subspan(at, piece.at - at));
    all_.push_back(piece.bytes);
    at = piece.at;
  }
  if (at < head.size()) all_.push_back(head.subspan(at));
  return all_;
}

PyObject* decode(bytes::Bytes& from, ObjectReader* reader) { return decode_at(from, 0, reader); }

const Pickling& pickling() { return g_pickling; }

bool is_callers() {
  // No other thread runs handlers, so there it is always the value's.
  if (!is_main_thread()) return false;
  if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) return true;
  Ref error = take_error();
  Ref answer(PyObject_CallOneArg(pickling().from_handler, error.get()));
  if (!answer) return true;  // what a handler has raised meanwhile
  give_back_error(std::move(error));
  return answer.get() == Py_True;
}

bool is_refusal() { return PyErr_ExceptionMatches(PyExc_Exception) && !is_callers(); }

MainByValue::MainByValue(bool wanted)
    : outer_(std::exchange(t_main_by_value, t_main_by_value || wanted)) {}
MainByValue::~MainByValue() { t_main_by_value = outer_; }
bool MainByValue::is_wanted() { return t_main_by_value || g_main_by_value; }

namespace {

// By a function of _child/by_value.py.
Ref pickle_by(const char* function, PyObject* object, std::vector<bytes::Shared>& shares) {
  Ref module(PyImport_ImportModule("forkful._child.by_value"));
  if (!module) return {};
  // Nobody asks in there: it calls the same picklers as pickle() does.
  const bool outer = std::exchange(t_main_by_value, false);
  const Gathering gathering(shares);
  Ref dumps(PyObject_GetAttrString(module.get(), function));
  Ref pickled(dumps ? PyObject_CallOneArg(dumps.get(), object) : nullptr);
  t_main_by_value = outer;
  return pickled;
}

}  // namespace

Ref pickle_by_value(PyObject* object, std::vector<bytes::Shared>& shares) {
  return pickle_by("dumps_unnamed", object, shares);
}

Ref pickle(PyObject* object, std::vector<bytes::Shared>& shares) {
  if (MainByValue::is_wanted()) return pickle_by("dumps", object, shares);
  const Gathering gathering(shares);
  return Ref(PyObject_CallOneArg(pickling().dumps, object));
}

PyObject* raise_damaged() {
  PyErr_SetString(PyExc_EOFError, "a message is not what it says: its memory is damaged");
  return nullptr;
}

// Eight characters at a time: nearly every text of a message comes through here.
PyObject* ascii_text(const char* data, std::size_t size) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::uint64_t seen = 0;
  std::size_t at = 0;
  for (std::uint64_t word = 0; at + sizeof word <= size; at += sizeof word) {
    std::memcpy(&word, data + at, sizeof word);
    seen |= word;
  }
  for (; at < size; ++at) seen |= static_cast<unsigned char>(data[at]);
  if ((seen & kHighBits) != 0) return raise_damaged();
  PyObject* text = PyUnicode_New(static_cast<Py_ssize_t>(size), 127);
  if (text != nullptr && size > 0) std::memcpy(PyUnicode_DATA(text), data, size);
  return text;
}

PyObject* unpickle(bytes::Bytes from) {
  Ref view(PyMemoryView_FromMemory(const_cast<char*>(reinterpret_cast<const char*>(from.data())),
                                   static_cast<Py_ssize_t>(from.size()), PyBUF_READ));
  if (!view) return nullptr;
  PyObject* object = PyObject_CallOneArg(pickling().loads, view.get());
  if (object == nullptr) note_missing();
  // Whoever kept the view would read memory that is about to be freed.
  const ErrorKept kept;
  Ref released(PyObject_CallMethod(view.get(), "release", nullptr));
  if (!released) PyErr_Clear();
  return object;
}

bool add_values(PyObject* module) { return PyModule_AddFunctions(module, g_functions) == 0; }

}  // namespace forkful::python
