// Barrier: a place where parties meet.
//
// forkful.synchronize.Barrier derives from it. What holds for processes and deaths is the engine's:
// <forkful/bytes/barrier.hpp>.
//
// GIL:     kept but for the waits.
// Signals: what a handler raises ends the wait, and breaks the barrier: the others would wait for
//          this party in vain.
#include <forkful/bytes/barrier.hpp>

#include "arguments.hpp"
#include "core.hpp"
#include "label.hpp"

namespace forkful::python {
namespace {

using bytes::RawBarrier;
using Passed = RawBarrier::Passed;

// parties is read as long long, so that a number that has no room in 32 bits is refused with its
// value, and not cut off.
int init(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"parties", "name", nullptr};
  long long parties = 0;
  PyObject* name = nullptr;
  Label label;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "L|$O:Barrier", const_cast<char**>(names),
                                   &parties, &name) ||
      !parse_label(name, label)) {
    return -1;
  }
  if (parties < 1 || parties > 0xffffffff) {
    PyErr_Format(PyExc_ValueError, "parties must be > 0 and a number of processes, not %lld",
                 parties);
    return -1;
  }
  return guarded_init([&] {
    Wrapped<RawBarrier>::set(self, RawBarrier::create(static_cast<std::uint32_t>(parties), label));
    return true;
  });
}

// Sets threading's BrokenBarrierError, which the standard Barrier raises.
PyObject* raise_broken(const RawBarrier& barrier) {
  const Ref threading(PyImport_ImportModule("threading"));
  const Ref error(threading ? PyObject_GetAttrString(threading.get(), "BrokenBarrierError")
                            : nullptr);
  if (!error) return nullptr;
  PyErr_Format(error.get(),
               "the %s is broken: a party came too late, was interrupted or died, its action "
               "raised, or somebody called abort() or reset(); after reset() the parties can meet "
               "again",
               barrier.called("Barrier").c_str());
  return nullptr;
}

// The action of the last one to arrive, for which all the others wait.
PyObject* run(const RawBarrier& barrier, const RawBarrier::Arrival& arrival, PyObject* action) {
  if (action != Py_None && !Ref(PyObject_CallNoArgs(action))) {
    const ErrorKept kept;
    (void)barrier.give_up(arrival);
    return nullptr;
  }
  if (!barrier.release(arrival)) return raise_broken(barrier);
  return PyLong_FromUnsignedLong(arrival.index);
}

// One that has not arrived in time breaks the barrier as well: the others wait for it.
PyObject* give_up_coming(const RawBarrier& barrier, Passed how) {
  if (how == Passed::interrupted) {
    const ErrorKept kept;
    barrier.abort();
    return nullptr;
  }
  if (how == Passed::timed_out) barrier.abort();
  return raise_broken(barrier);
}

// Released at the last moment is in time, but what a handler has raised is told in any case.
PyObject* give_up_waiting(const RawBarrier& barrier, const RawBarrier::Arrival& arrival,
                          Passed how) {
  if (how == Passed::interrupted) {
    const ErrorKept kept;
    (void)barrier.give_up(arrival);
    return nullptr;
  }
  if (how == Passed::broken || barrier.give_up(arrival) != Passed::yes) {
    return raise_broken(barrier);
  }
  return PyLong_FromUnsignedLong(arrival.index);
}

// _meet(action, timeout, /)
PyObject* meet(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  Deadline deadline;
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "_meet() takes an action and a timeout");
    return nullptr;
  }
  if (!to_deadline(nullptr, args[1], deadline)) return nullptr;
  return guarded([&] {
    const RawBarrier barrier = Wrapped<RawBarrier>::of(self);
    GilWait wait(deadline);
    RawBarrier::Arrival arrival;
    Passed how = barrier.arrive(arrival, wait);
    if (how != Passed::yes) return give_up_coming(barrier, how);
    if (arrival.last) return run(barrier, arrival, args[0]);
    how = barrier.wait(arrival, wait);
    if (how != Passed::yes) return give_up_waiting(barrier, arrival, how);
    return PyLong_FromUnsignedLong(arrival.index);
  });
}

template <void (RawBarrier::*Change)() const>
PyObject* change(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    (Wrapped<RawBarrier>::of(self).*Change)();
    Py_RETURN_NONE;
  });
}

PyObject* get_parties(PyObject* self, void*) {
  return guarded([&] { return PyLong_FromUnsignedLong(Wrapped<RawBarrier>::of(self).parties()); });
}
PyObject* get_waiting(PyObject* self, void*) {
  return guarded([&] { return PyLong_FromUnsignedLong(Wrapped<RawBarrier>::of(self).waiting()); });
}
PyObject* get_broken(PyObject* self, void*) {
  return guarded([&] { return PyBool_FromLong(Wrapped<RawBarrier>::of(self).broken()); });
}

PyMethodDef g_methods[] = {
    {"_meet", as_function(meet), METH_FASTCALL,
     "_meet($self, action, timeout, /)\n--\n\nWait for all parties."},
    {"abort", change<&RawBarrier::abort>, METH_NOARGS,
     "abort($self, /)\n--\n\nBreak it: whoever waits, or comes later, gets BrokenBarrierError."},
    {"reset", change<&RawBarrier::reset>, METH_NOARGS,
     "reset($self, /)\n--\n\nMake it whole and empty. Whoever waits gets BrokenBarrierError."},
    {"__getstate__", Wrapped<RawBarrier>::getstate, METH_NOARGS,
     "__getstate__($self, /)\n--\n\nNames the object for relatives."},
    {"__setstate__", Wrapped<RawBarrier>::setstate, METH_O,
     "__setstate__($self, state, /)\n--\n\nBecomes the object that was named."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef g_attributes[] = {
    {"parties", get_parties, nullptr, "How many have to come.", nullptr},
    {"n_waiting", get_waiting, nullptr, "How many wait now.", nullptr},
    {"broken", get_broken, nullptr, "Whether it is broken, until reset().", nullptr},
    label_attribute<RawBarrier>,
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot g_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(Wrapped<RawBarrier>::blank)},
    {Py_tp_init, reinterpret_cast<void*>(init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Wrapped<RawBarrier>::dealloc)},
    {Py_tp_methods, g_methods},
    {Py_tp_getset, g_attributes},
    {Py_tp_doc, const_cast<char*>("Barrier(parties, *, name=None)\n--\n\nA meeting place.")},
    {0, nullptr}};

PyType_Spec g_spec{"forkful._core.Barrier", sizeof(Wrapped<RawBarrier>), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_slots};

}  // namespace

bool add_barrier(PyObject* module) { return add_type(module, g_spec); }

}  // namespace forkful::python
