// Queue: put() encodes in the caller and has sent when it returns.
#include <forkful/bytes/queue.hpp>

#include "values.hpp"

namespace forkful::python {
namespace {

using bytes::ByteMessage;
using bytes::ByteQueue;

struct QueueObject {
  PyObject_HEAD ByteQueue queue;
  bool closed;  // in this process
  bool strict;
};

QueueObject* queue_of(PyObject* self) { return reinterpret_cast<QueueObject*>(self); }

PyObject* wrap(PyTypeObject* type, ByteQueue queue, bool strict) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  new (&queue_of(self)->queue) ByteQueue(std::move(queue));
  queue_of(self)->closed = false;
  queue_of(self)->strict = strict;
  return self;
}

PyObject* new_queue(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"maxsize", "strict", nullptr};
  long long most = 0;
  int strict = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|L$p:Queue", const_cast<char**>(names), &most,
                                   &strict)) {
    return nullptr;
  }
  const bool bounded = most > 0 && most < 0x7fffffff;
  return guarded([&] {
    return wrap(type, ByteQueue::create(bounded ? static_cast<std::uint32_t>(most) : 0),
                strict != 0);
  });
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  queue_of(self)->queue.~ByteQueue();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* raise_closed(PyObject* self) {
  PyErr_Format(PyExc_ValueError, "Queue %R is closed in this process: put and get before close()",
               self);
  return nullptr;
}

PyObject* raise_shut_down() {
  PyErr_SetString(g_shut_down, "the queue was shut down");
  return nullptr;
}

// The arguments behind `skip` positional ones: (block=True, timeout=None).
bool parse_wait(const char* what, PyObject* const* args, Py_ssize_t count, PyObject* names,
                Py_ssize_t skip, PyObject** item, Deadline& deadline) {
  if (names == nullptr && count == skip) {
    deadline = Deadline::never();
    return true;
  }
  PyObject* block = count > skip ? args[skip] : nullptr;
  PyObject* timeout = count > skip + 1 ? args[skip + 1] : nullptr;
  const Py_ssize_t named = names != nullptr ? PyTuple_GET_SIZE(names) : 0;
  bool bad = count > skip + 2;
  for (Py_ssize_t i = 0; i < named && !bad; ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    PyObject* value = args[count + i];
    if (PyUnicode_CompareWithASCIIString(name, "block") == 0) {
      block = value;
    } else if (PyUnicode_CompareWithASCIIString(name, "timeout") == 0) {
      timeout = value;
    } else if (item != nullptr && PyUnicode_CompareWithASCIIString(name, "obj") == 0) {
      *item = value;
    } else {
      bad = true;
    }
  }
  if (bad) {
    PyErr_Format(PyExc_TypeError, "%s takes (%sblock=True, timeout=None)", what,
                 item != nullptr ? "obj, " : "");
    return false;
  }
  return to_deadline(block, timeout, deadline);
}

// As the standard queue has it: the traceback goes to stderr and the queue lives on.
PyObject* refuse(PyObject* self, PyObject* item) {
  if (queue_of(self)->strict) return nullptr;
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != nullptr) PyException_SetTraceback(value, trace);
  Ref done(PyObject_CallMethod(self, "_on_queue_feeder_error", "OO", value, item));
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

PyObject* send(PyObject* self, PyObject* item, Deadline deadline) {
  if (queue_of(self)->closed) return raise_closed(self);
  return guarded([&]() -> PyObject* {
    Parts parts;
    if (!parts.encode(item)) return refuse(self, item);
    GilWait wait(deadline);
    switch (queue_of(self)->queue.put(parts.span(), wait)) {
      case ByteQueue::Put::sent:
        Py_RETURN_NONE;
      case ByteQueue::Put::timed_out:
        PyErr_SetNone(g_full);
        return nullptr;
      case ByteQueue::Put::interrupted:
        return nullptr;
      case ByteQueue::Put::shut_down:
        return raise_shut_down();
    }
    return nullptr;
  });
}

PyObject* receive(PyObject* self, Deadline deadline) {
  if (queue_of(self)->closed) return raise_closed(self);
  return guarded([&]() -> PyObject* {
    ByteMessage message;
    GilWait wait(deadline);
    switch (queue_of(self)->queue.get(message, wait)) {
      case ByteQueue::Got::received:
        break;
      case ByteQueue::Got::timed_out:
        PyErr_SetNone(g_empty);
        return nullptr;
      case ByteQueue::Got::interrupted:
        return nullptr;
      case ByteQueue::Got::shut_down:
        return raise_shut_down();
    }
    bytes::Bytes rest = message.bytes();
    return decode(rest);
  });
}

PyObject* put(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* item = count > 0 ? args[0] : nullptr;
  Deadline deadline;
  if (!parse_wait("put()", args, count, names, count > 0 ? 1 : 0, &item, deadline)) return nullptr;
  if (item == nullptr) {
    PyErr_SetString(PyExc_TypeError, "put() missing 1 required positional argument: 'obj'");
    return nullptr;
  }
  return send(self, item, deadline);
}

PyObject* get(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Deadline deadline;
  if (!parse_wait("get()", args, count, names, 0, nullptr, deadline)) return nullptr;
  return receive(self, deadline);
}

PyObject* put_nowait(PyObject* self, PyObject* item) { return send(self, item, Deadline::poll()); }
PyObject* get_nowait(PyObject* self, PyObject*) { return receive(self, Deadline::poll()); }

PyObject* qsize(PyObject* self, PyObject*) {
  return PyLong_FromUnsignedLong(queue_of(self)->queue.size());
}
PyObject* empty(PyObject* self, PyObject*) {
  if (queue_of(self)->closed) return raise_closed(self);
  return PyBool_FromLong(queue_of(self)->queue.size() == 0);
}
PyObject* full(PyObject* self, PyObject*) { return PyBool_FromLong(queue_of(self)->queue.full()); }

PyObject* close(PyObject* self, PyObject*) {
  queue_of(self)->closed = true;
  Py_RETURN_NONE;
}

PyObject* shutdown(PyObject* self, PyObject* args) {
  int immediate = 0;
  if (!PyArg_ParseTuple(args, "|p:shutdown", &immediate)) return nullptr;
  return guarded([&]() -> PyObject* {
    const ByteQueue& queue = queue_of(self)->queue;
    queue.shut_down();
    if (immediate != 0) {
      ByteMessage message;
      GilWait poll(Deadline::poll());
      while (queue.get(message, poll) == ByteQueue::Got::received) {
      }
    }
    Py_RETURN_NONE;
  });
}

PyObject* name(PyObject* self, PyObject*) {
  return guarded([&] {
    const auto name = queue_of(self)->queue.name();
    return Py_BuildValue("KKO", static_cast<unsigned long long>(name.offset),
                         static_cast<unsigned long long>(name.serial),
                         queue_of(self)->strict ? Py_True : Py_False);
  });
}

PyObject* adopt(PyObject* type, PyObject* args) {
  unsigned long long offset = 0;
  unsigned long long serial = 0;
  int strict = 0;
  if (!PyArg_ParseTuple(args, "KKp:adopt", &offset, &serial, &strict)) return nullptr;
  return guarded([&] {
    return wrap(reinterpret_cast<PyTypeObject*>(type), ByteQueue::adopt({offset, serial}),
                strict != 0);
  });
}

PyObject* get_closed(PyObject* self, void*) { return PyBool_FromLong(queue_of(self)->closed); }
PyObject* get_maxsize(PyObject* self, void*) {
  const std::uint32_t most = queue_of(self)->queue.most_messages();
  return PyLong_FromUnsignedLong(most != 0 ? most : 0x7fffffff);
}

PyMethodDef g_methods[] = {
    {"put", as_function(put), METH_FASTCALL | METH_KEYWORDS,
     "put(obj, block=True, timeout=None)\n--\n\nSend one item; it is in the queue on return.\n\n"
     "Raises queue.Full when a bounded queue has no room in time, ValueError when closed."},
    {"get", as_function(get), METH_FASTCALL | METH_KEYWORDS,
     "get(block=True, timeout=None)\n--\n\nRemove and return the oldest item.\n\n"
     "Raises queue.Empty when none came in time; the queue is unchanged then."},
    {"put_nowait", put_nowait, METH_O, "put(obj, False)"},
    {"get_nowait", get_nowait, METH_NOARGS, "get(False)"},
    {"qsize", qsize, METH_NOARGS, "The number of items, exact for the moment of the look."},
    {"empty", empty, METH_NOARGS, "Whether qsize() is 0."},
    {"full", full, METH_NOARGS, "Whether a bounded queue has no room."},
    {"close", close, METH_NOARGS, "Promise that this process uses the queue no more."},
    {"shutdown", shutdown, METH_VARARGS,
     "shutdown(immediate=False)\n--\n\nRefuse put(); get() empties the queue, then raises "
     "ShutDown."},
    {"name", name, METH_NOARGS, "(offset, serial, strict): for adopt() in a relative."},
    {"adopt", adopt, METH_VARARGS | METH_CLASS, "The queue that name() named."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef g_attributes[] = {
    {"_closed", get_closed, nullptr, "Whether close() was called in this process.", nullptr},
    {"_maxsize", get_maxsize, nullptr, "The bound; 2**31-1 where there is none.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot g_slots[] = {{Py_tp_new, reinterpret_cast<void*>(new_queue)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                         {Py_tp_methods, g_methods},
                         {Py_tp_getset, g_attributes},
                         {Py_tp_doc, const_cast<char*>("Queue(maxsize=0, *, strict=False)")},
                         {0, nullptr}};

PyType_Spec g_spec{"forkful._core.Queue", sizeof(QueueObject), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_slots};

}  // namespace

bool add_queue(PyObject* module) { return add_type(module, g_spec); }

}  // namespace forkful::python
