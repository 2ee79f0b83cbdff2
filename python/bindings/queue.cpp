// Queue and SimpleQueue: put() encodes in the caller and has sent when it returns.
//
// The classes of python/forkful/queues.py derive from these. What holds for threads, processes and
// deaths is the engine's: <forkful/bytes/queue.hpp>.
//
// GIL:     kept while an item is encoded, copied or decoded, and given away only while a call waits
//          for room, for an item, or for a member that is stopped in the middle of the queue.
// Signals: what a handler raises ends a wait, with nothing sent and nothing taken.
// Re-entry: encoding and decoding run code of the item's classes, which may use the same queue.
//          Neither is done while a lock of the engine is held.
#include "queue.hpp"

#include <forkful/bytes/queue.hpp>
#include <string>

#include "arguments.hpp"
#include "label.hpp"
#include "remedies.hpp"
#include "values.hpp"

namespace forkful::python {
namespace {

using bytes::ByteMessage;
using bytes::ByteQueue;

PyTypeObject* g_queue_type;
PyTypeObject* g_simple_type;

void set(PyObject* self, ByteQueue queue, bool strict) {
  Wrapped<ByteQueue>::set(self, std::move(queue));
  queue_of(self)->closed = 0;
  queue_of(self)->used = false;
  queue_of(self)->strict = strict;
}

// As many messages as the queue may have at a time; 0: no bound. Refused like the standard queue's.
// Below 0 there is none, as in the standard queue, which makes 2^31 - 1 of that; so that number is
// no bound either.
bool parse_bound(PyObject* maxsize, std::uint32_t& bound) {
  constexpr long long kMost = 0x7fffffff;
  if (maxsize != nullptr && PyIndex_Check(maxsize) == 0) {
    PyErr_Format(PyExc_TypeError, "maxsize must be an int, not %R", maxsize);
    return false;
  }
  int overflow = 0;
  const long long most = maxsize != nullptr ? PyLong_AsLongLongAndOverflow(maxsize, &overflow) : 0;
  if (most == -1 && PyErr_Occurred() != nullptr) return false;
  if (overflow > 0 || most > kMost) {
    PyErr_Format(
        PyExc_OverflowError,
        "maxsize is more than %lld, the largest bound that a queue can have; 0 is no bound", kMost);
    return false;
  }
  bound = most > 0 && most < kMost ? static_cast<std::uint32_t>(most) : 0;
  return true;
}

int init(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"maxsize", "strict", "name", nullptr};
  PyObject* maxsize = nullptr;
  int strict = 0;
  PyObject* name = nullptr;
  std::uint32_t bound = 0;
  Label label;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$pO:Queue", const_cast<char**>(names), &maxsize,
                                   &strict, &name) ||
      !parse_bound(maxsize, bound) || !parse_label(name, label)) {
    return -1;
  }
  return guarded_init([&] {
    set(self, ByteQueue::create(bound, label), strict != 0);
    return true;
  });
}

// Always strict: the standard SimpleQueue has no thread that could print, and put() raises.
int init_simple(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"name", nullptr};
  PyObject* name = nullptr;
  Label label;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$O:SimpleQueue", const_cast<char**>(names),
                                   &name) ||
      !parse_label(name, label)) {
    return -1;
  }
  return guarded_init([&] {
    set(self, ByteQueue::create(0, label), true);
    return true;
  });
}

// A SimpleQueue is a pipe in multiprocessing, and so are the ends of a Queue.
PyObject* raise_closed(PyObject* self) {
  const bool simple = PyObject_TypeCheck(self, g_simple_type) != 0;
  if (simple || queue_of(self)->closed != kBoth) return raise_closed_handle(self);
  return guarded([&]() -> PyObject* {
    PyErr_Format(PyExc_ValueError, "the %s is closed in this process: put and get before close()",
                 ring_of(self).called(Py_TYPE(self)->tp_name).c_str());
    return nullptr;
  });
}

// Throws PythonError, as whoever calls it from within guarded() may.
PyObject* raise_shut_down(PyObject* self) {
  PyErr_Format(g_shut_down, "the %s was shut down", ring_of(self).called("queue").c_str());
  return nullptr;
}

// As the standard queue has it: the traceback goes to stderr and the queue lives on. What ends the
// program, or interrupts it, is the caller's, in whose thread this one pickles.
PyObject* refuse(PyObject* self, PyObject* item) {
  if (!is_refusal()) return nullptr;
  note_refusal("an item of a queue was being pickled", ": ");
  if (queue_of(self)->strict) return nullptr;
  Ref error = take_error();
  Ref done(PyObject_CallMethod(self, "_on_queue_feeder_error", "OO", error.get(), item));
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

// Encoded before the wait begins, since code of the item must not run with a place in the ring
// taken; `parts` keeps what is large and is copied only when there is room. The handle is looked up
// after the encoding, whose code may have put another one there.
PyObject* send(PyObject* self, PyObject* item, Deadline deadline) {
  if ((queue_of(self)->closed & kWriting) != 0) return raise_closed(self);
  return guarded([&]() -> PyObject* {
    Parts parts;
    queue_of(self)->used = true;
    if (!parts.encode(item)) return refuse(self, item);
    GilWait wait(deadline);
    switch (ring_of(self).put(parts.span(), wait, parts.shares())) {
      case ByteQueue::Put::sent:
        Py_RETURN_NONE;
      case ByteQueue::Put::timed_out:
        return raise_of_queue("Full");
      case ByteQueue::Put::interrupted:
        return nullptr;
      case ByteQueue::Put::shut_down:
        return raise_shut_down(self);
    }
    return nullptr;
  });
}

// What it raises cannot be told: the item is out of the queue, and has to be returned.
void tell_if_empty(PyObject* self) {
  if (ring_of(self).size() != 0) return;
  const Ref hook = Ref::borrow(queue_of(self)->on_empty);
  if (!Ref(PyObject_CallNoArgs(hook.get()))) PyErr_WriteUnraisable(hook.get());
}

// The message is out of the queue before it is decoded, so what decoding raises costs that item. It
// is read where it lies, and freed when the value is there: `message` must outlive decode().
PyObject* receive(PyObject* self, Deadline deadline) {
  if ((queue_of(self)->closed & kReading) != 0) return raise_closed(self);
  return guarded([&]() -> PyObject* {
    ByteMessage message;
    GilWait wait(deadline);
    switch (ring_of(self).get(message, wait)) {
      case ByteQueue::Got::received:
        break;
      case ByteQueue::Got::timed_out:
        return raise_of_queue("Empty");
      case ByteQueue::Got::interrupted:
        return nullptr;
      case ByteQueue::Got::shut_down:
        return raise_shut_down(self);
    }
    if (queue_of(self)->on_empty != nullptr) [[unlikely]]
      tell_if_empty(self);
    bytes::Bytes rest = message.bytes();
    return decode(rest);
  });
}

PyObject* put(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static constexpr const char* kNames[] = {"obj", "block", "timeout"};
  if (count == 1 && names == nullptr) return send(self, args[0], Deadline::never());
  PyObject* values[3] = {};
  Deadline deadline;
  if (!parse_arguments("put", kNames, args, count, names, values) ||
      !to_deadline(values[1], values[2], deadline)) {
    return nullptr;
  }
  if (values[0] == nullptr) {
    PyErr_SetString(PyExc_TypeError, "put() missing 1 required positional argument: 'obj'");
    return nullptr;
  }
  return send(self, values[0], deadline);
}

PyObject* get(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  if (count == 0 && names == nullptr) return receive(self, Deadline::never());
  Deadline deadline;
  if (!parse_block_and_timeout("get", args, count, names, deadline)) return nullptr;
  return receive(self, deadline);
}

// f(obj)
// The one argument by its place, mostly, which is looked at before any parsing; or by its name.
PyObject* send_only(const char* function, PyObject* self, PyObject* const* args, Py_ssize_t count,
                    PyObject* names, Deadline deadline) {
  static constexpr const char* kNames[] = {"obj"};
  if (count == 1 && names == nullptr) return send(self, args[0], deadline);
  PyObject* item = nullptr;
  if (!parse_arguments(function, kNames, args, count, names, &item)) return nullptr;
  if (item != nullptr) return send(self, item, deadline);
  PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: 'obj'", function);
  return nullptr;
}

PyObject* put_simply(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  return send_only("put", self, args, count, names, Deadline::never());
}

PyObject* put_nowait(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  return send_only("put_nowait", self, args, count, names, Deadline::poll());
}

PyObject* get_simply(PyObject* self, PyObject*) { return receive(self, Deadline::never()); }

PyObject* get_nowait(PyObject* self, PyObject*) { return receive(self, Deadline::poll()); }

PyObject* qsize(PyObject* self, PyObject*) {
  return guarded([&] { return PyLong_FromUnsignedLong(ring_of(self).size()); });
}
// A Queue that was closed before it was used is open in this, as in multiprocessing, where the pipe
// is closed by the thread that the first put() starts.
PyObject* empty(PyObject* self, PyObject*) {
  if (queue_of(self)->closed == kBoth && queue_of(self)->used) return raise_closed_handle(self);
  return guarded([&] { return PyBool_FromLong(ring_of(self).size() == 0); });
}
PyObject* simple_empty(PyObject* self, PyObject*) {
  if ((queue_of(self)->closed & kReading) != 0) return raise_closed_handle(self);
  return guarded([&] { return PyBool_FromLong(ring_of(self).size() == 0); });
}
PyObject* full(PyObject* self, PyObject*) {
  return guarded([&] { return PyBool_FromLong(ring_of(self).full()); });
}

PyObject* close(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    (void)ring_of(self);  // raises where there is nothing to close
    queue_of(self)->closed = kBoth;
    Py_RETURN_NONE;
  });
}

void dealloc(PyObject* self) {
  Py_CLEAR(queue_of(self)->on_empty);
  Wrapped<ByteQueue>::dealloc(self);
}

PyObject* shutdown(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"immediate", nullptr};
  int immediate = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:shutdown", const_cast<char**>(names),
                                   &immediate)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    const ByteQueue& queue = ring_of(self);
    GilWait forever(Deadline::never());
    if (queue.shut_down(forever) == Waited::interrupted) return nullptr;
    auto got = immediate != 0 ? ByteQueue::Got::received : ByteQueue::Got::timed_out;
    while (got == ByteQueue::Got::received) {
      ByteMessage message;
      GilWait poll(Deadline::poll());
      got = queue.get(message, poll);
    }
    // A member that is stopped while it has the queue's lock is waited for, and a handler has
    // raised.
    if (got == ByteQueue::Got::interrupted) return nullptr;
    Py_RETURN_NONE;
  });
}

// ((family, offset, serial), strict)
PyObject* getstate(PyObject* self, PyObject*) {
  return guarded([&] {
    Ref id(id_of(ring_of(self)));
    return id ? Py_BuildValue("OO", id.get(), queue_of(self)->strict ? Py_True : Py_False)
              : nullptr;
  });
}

// A queue that has travelled is open, whatever it was where it comes from.
PyObject* setstate(PyObject* self, PyObject* state) {
  PyObject* words = nullptr;
  bytes::Shared::Id id{};
  int strict = 0;
  if (!PyArg_Parse(state, "(Op):__setstate__", &words, &strict)) return nullptr;
  if (!parse_id(words, id)) return nullptr;
  return guarded([&]() -> PyObject* {
    set(self, ByteQueue::adopt(id), strict != 0);
    Py_RETURN_NONE;
  });
}

PyObject* get_closed(PyObject* self, void*) {
  return PyBool_FromLong(queue_of(self)->closed == kBoth);
}
PyObject* get_maxsize(PyObject* self, void*) {
  return guarded([&] {
    const std::uint32_t most = ring_of(self).most_messages();
    return PyLong_FromUnsignedLong(most != 0 ? most : 0x7fffffff);
  });
}

constexpr const char kPutDoc[] =
    "put($self, obj, block=True, timeout=None)\n--\n\n"
    "Send one item: it is in the queue when this returns, whatever becomes of this process.\n\n"
    "Where it raises, nothing was sent.\n\n"
    "Args:\n"
    "    block: False: do not wait for room.\n"
    "    timeout: How many seconds to wait for room at most; None: as long as it takes.\n"
    "Raises:\n"
    "    queue.Full: A bounded queue has had no room in time.\n"
    "    ValueError: The queue was closed here; ShutDown, which is one: it was shut down.\n"
    "    OSError: The family has no memory left (ENOSPC).\n"
    "    Exception: Of a strict queue: what pickling has raised. Any other prints that and drops\n"
    "        the item, as multiprocessing does.\n\n"
    "Differs from multiprocessing: there a thread sends the item later.";
constexpr const char kGetDoc[] =
    "get($self, block=True, timeout=None)\n--\n\n"
    "Take the oldest item out and return it.\n\n"
    "Where it raises Empty, ShutDown, ValueError, or what a signal's handler has raised while it\n"
    "waited, the queue is as it was. An item that cannot be unpickled is gone.\n\n"
    "Args:\n"
    "    block: False: do not wait for an item.\n"
    "    timeout: How many seconds to wait for one at most; None: as long as it takes.\n"
    "Raises:\n"
    "    queue.Empty: None has come in time.\n"
    "    ValueError: The queue was closed here; ShutDown, which is one: it was shut down, and is\n"
    "        empty.\n"
    "    Exception: What unpickling has raised.";
constexpr const char kCloseDoc[] =
    "close($self, /)\n--\n\n"
    "Promise that this process uses the queue no more: put() and get() raise ValueError here.\n\n"
    "What was put stays in the queue, for other processes. A second call does nothing.";
constexpr const char kSimpleCloseDoc[] =
    "close($self, /)\n--\n\n"
    "Promise that this process uses the queue no more: put(), get() and empty() raise OSError "
    "here.\n"
    "\n"
    "What was put stays in the queue, for other processes. A second call does nothing.";
constexpr const char kClassGetItemDoc[] = "For annotations: the type of the items.";

PyMethodDef g_methods[] = {
    {"put", as_function(put), METH_FASTCALL | METH_KEYWORDS, kPutDoc},
    {"get", as_function(get), METH_FASTCALL | METH_KEYWORDS, kGetDoc},
    {"put_nowait", as_function(put_nowait), METH_FASTCALL | METH_KEYWORDS,
     "put_nowait($self, obj)\n--\n\nput(obj, False)\n\nRaises: As put()."},
    {"get_nowait", get_nowait, METH_NOARGS,
     "get_nowait($self, /)\n--\n\nget(False)\n\nRaises: As get()."},
    {"qsize", qsize, METH_NOARGS,
     "qsize($self, /)\n--\n\nThe number of items, exact for the moment of the look."},
    {"empty", empty, METH_NOARGS,
     "empty($self, /)\n--\n\n"
     "Whether qsize() is 0.\n\n"
     "Raises:\n"
     "    OSError: The queue was closed here, after a put() by this object."},
    {"full", full, METH_NOARGS, "full($self, /)\n--\n\nWhether a bounded queue has no room."},
    {"close", close, METH_NOARGS, kCloseDoc},
    {"shutdown", as_function(shutdown), METH_VARARGS | METH_KEYWORDS,
     "shutdown($self, immediate=False)\n--\n\n"
     "From now on put() raises ShutDown, in all processes; get() does when the queue is empty.\n\n"
     "Whoever waits in either is told at once. A second call does nothing more.\n\n"
     "Args:\n"
     "    immediate: True: empty the queue now."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, kClassGetItemDoc},
    {"__getstate__", getstate, METH_NOARGS,
     "__getstate__($self, /)\n--\n\nNames the queue for relatives."},
    {"__setstate__", setstate, METH_O,
     "__setstate__($self, state, /)\n--\n\nBecomes the queue that was named."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef g_attributes[] = {
    {"_closed", get_closed, nullptr, "Whether close() was called in this process.", nullptr},
    {"_maxsize", get_maxsize, nullptr, "The bound; 2**31-1 where there is none.", nullptr},
    label_attribute<ByteQueue>,
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot g_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(Wrapped<ByteQueue>::blank)},
    {Py_tp_init, reinterpret_cast<void*>(init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_methods, g_methods},
    {Py_tp_getset, g_attributes},
    {Py_tp_doc, const_cast<char*>("Queue(maxsize=0, *, strict=False, name=None)\n--\n\nA ring.")},
    {0, nullptr}};

PyType_Spec g_spec{"forkful._core.Queue", sizeof(QueueObject), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_slots};

// As few as the standard one has.
PyMethodDef g_simple_methods[] = {
    {"put", as_function(put_simply), METH_FASTCALL | METH_KEYWORDS,
     "put($self, obj)\n--\n\n"
     "Send one item: it is in the queue when this returns.\n\n"
     "Where it raises, nothing was sent.\n\n"
     "Raises:\n"
     "    OSError: The queue was closed here; or the family has no memory left (ENOSPC).\n"
     "    Exception: What pickling has raised."},
    {"get", get_simply, METH_NOARGS,
     "get($self, /)\n--\n\n"
     "Take the oldest item out and return it; wait for one, however long that takes.\n\n"
     "Raises:\n"
     "    OSError: The queue was closed here.\n"
     "    Exception: What unpickling has raised; that item is gone."},
    {"empty", simple_empty, METH_NOARGS,
     "empty($self, /)\n--\n\n"
     "Whether there is no item.\n\n"
     "Raises:\n"
     "    OSError: The queue was closed here."},
    {"close", close, METH_NOARGS, kSimpleCloseDoc},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, kClassGetItemDoc},
    {"__getstate__", getstate, METH_NOARGS,
     "__getstate__($self, /)\n--\n\nNames the queue for relatives."},
    {"__setstate__", setstate, METH_O,
     "__setstate__($self, state, /)\n--\n\nBecomes the queue that was named."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef g_simple_attributes[] = {label_attribute<ByteQueue>,
                                     {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot g_simple_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(Wrapped<ByteQueue>::blank)},
    {Py_tp_init, reinterpret_cast<void*>(init_simple)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_methods, g_simple_methods},
    {Py_tp_getset, g_simple_attributes},
    {Py_tp_doc, const_cast<char*>("SimpleQueue(*, name=None)\n--\n\nA ring without a bound.")},
    {0, nullptr}};

PyType_Spec g_simple_spec{"forkful._core.SimpleQueue", sizeof(QueueObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_simple_slots};

}  // namespace

ByteQueue& queue_argument(PyObject* object) {
  if (PyObject_TypeCheck(object, g_queue_type) || PyObject_TypeCheck(object, g_simple_type)) {
    return ring_of(object);
  }
  PyErr_Format(PyExc_TypeError, "a Queue is needed, not %.100s", Py_TYPE(object)->tp_name);
  throw PythonError();
}

PyObject* twin_of(PyObject* queue) {
  Ref made(Wrapped<ByteQueue>::blank(g_queue_type, nullptr, nullptr));
  if (made) set(made.get(), queue_argument(queue), queue_of(queue)->strict);
  return made.release();
}

PyObject* raise_closed_handle(PyObject* self) {
  return guarded([&]() -> PyObject* {
    PyErr_Format(PyExc_OSError, "handle is closed: the %s is closed in this process",
                 ring_of(self).called(Py_TYPE(self)->tp_name).c_str());
    return nullptr;
  });
}

bool add_queue(PyObject* module) {
  return add_type(module, g_spec, &g_queue_type) && add_type(module, g_simple_spec, &g_simple_type);
}

}  // namespace forkful::python
