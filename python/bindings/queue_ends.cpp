// What the ends of a queue are made of, by which a Queue looks like a pipe: see
// python/forkful/_queue_ends.py.
//
// Functions and not methods, since a queue has no use for them itself.
// GIL: given away only by await_item(), while it waits.
#include "arguments.hpp"
#include "queue.hpp"

namespace forkful::python {
namespace {

using bytes::ByteQueue;

// (queue, reading), the arguments of close_end() and is_closed_end(). Null: an exception is set.
PyObject* parse_end(PyObject* args, unsigned char& end) {
  PyObject* queue = nullptr;
  int reading = 0;
  if (!PyArg_ParseTuple(args, "Op", &queue, &reading)) return nullptr;
  (void)queue_argument(queue);
  end = reading != 0 ? kReading : kWriting;
  return queue;
}

PyObject* close_end(PyObject*, PyObject* args) {
  return guarded([&]() -> PyObject* {
    unsigned char end = 0;
    PyObject* queue = parse_end(args, end);
    if (queue == nullptr) return nullptr;
    queue_of(queue)->closed |= end;
    Py_RETURN_NONE;
  });
}

PyObject* is_closed_end(PyObject*, PyObject* args) {
  return guarded([&]() -> PyObject* {
    unsigned char end = 0;
    PyObject* queue = parse_end(args, end);
    if (queue == nullptr) return nullptr;
    return PyBool_FromLong(queue_of(queue)->closed & end);
  });
}

// The handle is copied: the wait lasts, and the object may get another one meanwhile.
PyObject* await_item(PyObject*, PyObject* args) {
  PyObject* object = nullptr;
  PyObject* timeout = nullptr;
  Deadline deadline;
  if (!PyArg_ParseTuple(args, "O|O", &object, &timeout) ||
      !to_deadline(nullptr, timeout, deadline)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    const ByteQueue queue = queue_argument(object);
    if ((queue_of(object)->closed & kReading) != 0) return raise_closed_handle(object);
    GilWait wait(deadline);
    const Waited how = queue.await_message(wait);
    return how == Waited::interrupted ? nullptr : PyBool_FromLong(how == Waited::done);
  });
}

PyObject* is_shut_down(PyObject*, PyObject* queue) {
  return guarded([&] { return PyBool_FromLong(queue_argument(queue).is_shut_down()); });
}

PyObject* twin(PyObject*, PyObject* queue) {
  return guarded([&] { return twin_of(queue); });
}

PyObject* on_empty(PyObject*, PyObject* args) {
  PyObject* queue = nullptr;
  PyObject* hook = nullptr;
  if (!PyArg_ParseTuple(args, "OO", &queue, &hook)) return nullptr;
  return guarded([&]() -> PyObject* {
    (void)queue_argument(queue);
    const Ref old(
        std::exchange(queue_of(queue)->on_empty, hook == Py_None ? nullptr : Py_NewRef(hook)));
    Py_RETURN_NONE;
  });
}

PyMethodDef g_functions[] = {
    {"close_end", close_end, METH_VARARGS,
     "close_end(queue, reading, /)\n--\n\nClose one end of a queue, for this process."},
    {"is_closed_end", is_closed_end, METH_VARARGS,
     "is_closed_end(queue, reading, /)\n--\n\nWhether that end is closed."},
    {"await_item", await_item, METH_VARARGS,
     "await_item(queue, timeout=None, /)\n--\n\n"
     "Whether the queue has an item in time, or was shut down. It stays there."},
    {"is_shut_down", is_shut_down, METH_O,
     "is_shut_down(queue, /)\n--\n\nWhether somebody has called shutdown()."},
    {"twin_of", twin, METH_O,
     "twin_of(queue, /)\n--\n\nAnother object for the same queue, in this process."},
    {"on_empty", on_empty, METH_VARARGS,
     "on_empty(queue, hook, /)\n--\n\nCall hook() when get() has left nothing; None: call none."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_queue_ends(PyObject* module) { return PyModule_AddFunctions(module, g_functions) == 0; }

}  // namespace forkful::python
