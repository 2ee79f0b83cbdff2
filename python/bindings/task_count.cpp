// TaskCount: which of a queue's items are done with.
//
// forkful.queues.JoinableQueue has one, and gives itself with each call: see
// <forkful/bytes/task_count.hpp>.
#include <forkful/bytes/task_count.hpp>

#include "label.hpp"
#include "queue.hpp"

namespace forkful::python {
namespace {

using bytes::ByteQueue;
using bytes::TaskCount;

// TaskCount(name=None, /)
int init(PyObject* self, PyObject* args, PyObject*) {
  PyObject* name = nullptr;
  Label label;
  if (!PyArg_ParseTuple(args, "|O:TaskCount", &name) || !parse_label(name, label)) return -1;
  return guarded_init([&] {
    Wrapped<TaskCount>::set(self, TaskCount::create(label));
    return true;
  });
}

PyObject* task_done(PyObject* self, PyObject* object) {
  return guarded([&]() -> PyObject* {
    const ByteQueue& queue = queue_argument(object);
    if (Wrapped<TaskCount>::of(self).task_done(queue)) Py_RETURN_NONE;
    PyErr_Format(PyExc_ValueError,
                 "task_done() called too many times: each item that was put into the %s is done "
                 "already",
                 queue.called("queue").c_str());
    return nullptr;
  });
}

// The two handles are copied: the wait lasts, and the objects may get others meanwhile.
PyObject* join(PyObject* self, PyObject* object) {
  return guarded([&]() -> PyObject* {
    const ByteQueue queue = queue_argument(object);
    const TaskCount count = Wrapped<TaskCount>::of(self);
    GilWait forever;
    if (count.join(queue, forever) == Waited::interrupted) return nullptr;
    Py_RETURN_NONE;
  });
}

// What is taken out of the queue is done with, one by one: so whatever interrupts this, the count
// is right.
PyObject* discard(PyObject* self, PyObject* object) {
  return guarded([&]() -> PyObject* {
    const ByteQueue queue = queue_argument(object);
    const TaskCount count = Wrapped<TaskCount>::of(self);
    for (;;) {
      bytes::ByteMessage message;
      GilWait poll(Deadline::poll());
      const auto got = queue.get(message, poll);
      if (got == ByteQueue::Got::interrupted) return nullptr;
      if (got != ByteQueue::Got::received) Py_RETURN_NONE;
      (void)count.task_done(queue);
    }
  });
}

PyObject* unfinished(PyObject* self, PyObject* object) {
  return guarded([&] {
    const ByteQueue& queue = queue_argument(object);
    return PyLong_FromUnsignedLong(Wrapped<TaskCount>::of(self).unfinished(queue));
  });
}

PyMethodDef g_methods[] = {
    {"task_done", task_done, METH_O,
     "task_done($self, queue, /)\n--\n\nOne item of the queue is done with."},
    {"join", join, METH_O, "join($self, queue, /)\n--\n\nWait until all items are done with."},
    {"discard", discard, METH_O,
     "discard($self, queue, /)\n--\n\nEmpty the queue; what was in it is done with."},
    {"unfinished", unfinished, METH_O,
     "unfinished($self, queue, /)\n--\n\nHow many items are not done with."},
    {"__getstate__", Wrapped<TaskCount>::getstate, METH_NOARGS,
     "__getstate__($self, /)\n--\n\nNames the object for relatives."},
    {"__setstate__", Wrapped<TaskCount>::setstate, METH_O,
     "__setstate__($self, state, /)\n--\n\nBecomes the object that was named."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef g_attributes[] = {label_attribute<TaskCount>,
                              {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot g_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(Wrapped<TaskCount>::blank)},
    {Py_tp_init, reinterpret_cast<void*>(init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Wrapped<TaskCount>::dealloc)},
    {Py_tp_methods, g_methods},
    {Py_tp_getset, g_attributes},
    {Py_tp_doc, const_cast<char*>("TaskCount(name=None, /)\n--\n\nWhat is done with.")},
    {0, nullptr}};

PyType_Spec g_spec{"forkful._core.TaskCount", sizeof(Wrapped<TaskCount>), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_slots};

}  // namespace

bool add_task_count(PyObject* module) { return add_type(module, g_spec); }

}  // namespace forkful::python
