// What Python's Process needs of the engine around its fork, and the child as its parent holds it.
//
// Called by python/forkful/_fork.py, popen_fork.py and process.py. Starting and ending by the rules
// of the family is the engine's: <forkful/bytes/family.hpp>, process.hpp.
//
// Threads: a fork is its own thread's: before_start(), the fork and started() go together.
// Signals: handlers run between bytecodes, so within a function of this file only where it asks for
//          them, waits, or runs code of others. What one raises between two of these calls finds a
//          child that is known.
// Fork:    in the child only the forking thread goes on, with the GIL.
#include <forkful/bytes/attendance.hpp>
#include <forkful/bytes/family.hpp>
#include <forkful/bytes/process.hpp>
#include <optional>
#include <utility>

#include "core.hpp"

namespace forkful::python {
namespace {

PyObject* accept_invitation(PyObject*, PyObject* args) {
  int arena_fd = -1;
  int liveness_fd = -1;
  unsigned int member = 0;
  unsigned long long nonce = 0;
  if (!PyArg_ParseTuple(args, "iiIK:accept_invitation", &arena_fd, &liveness_fd, &member, &nonce)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    bytes::accept_invitation(arena_fd, liveness_fd, member, nonce);
    Py_RETURN_NONE;
  });
}

PyObject* liveness_file(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    const auto file = bytes::liveness_file();
    return Py_BuildValue("iK", file.fd, static_cast<unsigned long long>(file.locks));
  });
}

// Noted before PyOS_AfterFork_Parent(), which runs code of others. A handler that raises there, or
// right after fork() has returned, would leave a child that nobody knows of.
thread_local Forked g_forked;

// Where it fails, nothing is left of the plan: a handler runs before it is made, or after the fork.
//
// Why not os.fork(): from Python 3.12 on it warns of any other thread, a pool's own ones included.
PyObject* fork(PyObject*, PyObject* args) {
  int daemonic = 0;
  int pool_worker = 0;
  const char* name = nullptr;
  Py_ssize_t name_bytes = 0;
  if (!PyArg_ParseTuple(args, "ppy#:fork", &daemonic, &pool_worker, &name, &name_bytes)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    g_forked = {};
    // A handler's turn, before there is a plan. Later it has one between two attempts only.
    if (PySys_Audit("os.fork", nullptr) < 0 || PyErr_CheckSignals() != 0) return nullptr;
    bytes::before_start({.daemonic = daemonic != 0,
                         .pool_worker = pool_worker != 0,
                         .name = std::string(name, static_cast<std::size_t>(name_bytes))});
    // What a handler raises within the functions that others have registered for a fork is lost.
    std::optional<bytes::NoSignals> no_signals;
    const auto before = [&] {
      no_signals.emplace();
      PyOS_BeforeFork();
    };
    // In this order: the child is noted first; then the locks of the interpreter are released, and
    // only then may handlers run. In the child fork_process() does not call it.
    const auto after = [&](int made) {
      if (made > 0) g_forked = {made, bytes::started()};
      PyOS_AfterFork_Parent();
      no_signals.reset();
    };
    GilWait wait;
    const int pid = bytes::fork_process(before, after, wait);
    // Interrupted between two attempts: the handler's exception is set.
    if (pid < 0) return nullptr;
    if (pid == 0) PyOS_AfterFork_Child();
    return PyLong_FromLong(pid);
  });
}

// fork() has asked the engine already, for which there is one answer; whoever forked by os.fork()
// has not.
PyObject* started(PyObject*, PyObject*) {
  return guarded([&] {
    return PyLong_FromUnsignedLong(g_forked.pid != 0 ? g_forked.member : bytes::started());
  });
}

PyObject* after_start_in_child(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    bytes::after_start_in_child();
    Py_RETURN_NONE;
  });
}

PyObject* leave_family(PyObject*, PyObject* args) {
  PyObject* code = nullptr;
  if (!PyArg_ParseTuple(args, "|O:leave_family", &code)) return nullptr;
  const long number = code != nullptr ? PyLong_AsLong(code) : 0;
  if (PyErr_Occurred()) return nullptr;
  return guarded([&]() -> PyObject* {
    if (code != nullptr) {
      bytes::leave_family(static_cast<int>(number));
    } else {
      bytes::leave_family();
    }
    Py_RETURN_NONE;
  });
}

// Stands in for os._exit() in children of forkful, under its name and with its argument.
PyObject* exit_now(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"status", nullptr};
  int status = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i:_exit", const_cast<char**>(names), &status)) {
    return nullptr;
  }
  bytes::exit_now(status);
}

// --- Child: a child that os.fork() made ---
//
// Each call is one piece for signal handlers, which run between bytecodes: whoever looks at a child
// while the same thread is inside such a look finds the exit code, or that there is none yet.

using bytes::RawProcess;

PyObject* exit_code_or_none(std::optional<int> code) {
  if (!code) Py_RETURN_NONE;
  return PyLong_FromLong(*code);
}

// Empty once it is closed. Not by Wrapped::of(), which would say that __init__() has not run.
RawProcess& child_of(PyObject* self) { return Wrapped<RawProcess>::whole(self).handle; }

// In __new__(), so that there is no Child without a child. Where the object cannot be made, the
// engine's handle goes, and the child runs on; where the handle cannot, the child is ended.
PyObject* new_child(PyTypeObject* type, PyObject* args, PyObject*) {
  int pid = 0;
  unsigned int member = 0;
  if (!PyArg_ParseTuple(args, "iI:Child", &pid, &member)) return nullptr;
  return guarded([&]() -> PyObject* {
    RawProcess child = RawProcess::adopt(pid, member);
    PyObject* self = Wrapped<RawProcess>::blank(type, nullptr, nullptr);
    if (self != nullptr) child_of(self) = std::move(child);
    return self;
  });
}

// In a forked child, and after close(), only what was found before is known: the kernel tells of
// an end to the parent alone.
PyObject* child_poll(PyObject* self, PyObject*) {
  auto& child = child_of(self);
  return guarded(
      [&] { return exit_code_or_none(child.is_ours() ? child.poll() : child.exit_code()); });
}

PyObject* child_ended(PyObject* self, PyObject*) {
  auto& child = child_of(self);
  return guarded(
      [&] { return exit_code_or_none(child.is_ours() ? child.ended() : child.exit_code()); });
}

PyObject* child_terminate(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    child_of(self).terminate();
    Py_RETURN_NONE;
  });
}

PyObject* child_send_signal(PyObject* self, PyObject* number) {
  const long signal = PyLong_AsLong(number);
  if (signal == -1 && PyErr_Occurred()) return nullptr;
  return guarded([&]() -> PyObject* {
    child_of(self).send_signal(static_cast<int>(signal));
    Py_RETURN_NONE;
  });
}

// Made anew where the program has closed it, but for a child that runs only: after its end there is
// nothing to wait for.
PyObject* child_fileno(PyObject* self, PyObject*) {
  auto& child = child_of(self);
  return guarded([&] {
    const bool runs = child.is_ours() && !child.exit_code();
    return PyLong_FromLong(runs ? child.watched() : child.descriptor());
  });
}

PyObject* child_close(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    // Emptied first: closing may give the GIL away.
    RawProcess gone = std::exchange(child_of(self), RawProcess());
    Py_RETURN_NONE;
  });
}

PyObject* child_returncode(PyObject* self, void*) {
  return guarded([&] { return exit_code_or_none(child_of(self).exit_code()); });
}

PyMethodDef g_child_methods[] = {
    {"poll", child_poll, METH_NOARGS,
     "poll($self, /)\n--\n\n"
     "The exit code, or None while it runs and in a process that did not start it."},
    {"ended", child_ended, METH_NOARGS,
     "ended($self, /)\n--\n\n"
     "As poll(), without giving back what it held: touches no lock of the family."},
    {"terminate", child_terminate, METH_NOARGS,
     "terminate($self, /)\n--\n\nSIGTERM, and SIGCONT in case it is stopped."},
    {"send_signal", child_send_signal, METH_O,
     "send_signal($self, number, /)\n--\n\n"
     "Send a signal, in any process that has the object."},
    {"fileno", child_fileno, METH_NOARGS,
     "fileno($self, /)\n--\n\n"
     "A descriptor that is readable once it has ended; -1: the program has closed it."},
    {"close", child_close, METH_NOARGS, "close($self, /)\n--\n\nGive the descriptor back."},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef g_child_properties[] = {
    {"returncode", child_returncode, nullptr, "What poll() found, without a look.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot g_child_slots[] = {
    {Py_tp_doc, const_cast<char*>("Child(pid, member, /)\n--\n\nA child that os.fork() made.")},
    {Py_tp_new, reinterpret_cast<void*>(new_child)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Wrapped<RawProcess>::dealloc)},
    {Py_tp_methods, g_child_methods},
    {Py_tp_getset, g_child_properties},
    {0, nullptr}};
PyType_Spec g_child_spec = {"forkful._core.Child", sizeof(Wrapped<RawProcess>), 0,
                            Py_TPFLAGS_DEFAULT, g_child_slots};

PyObject* cpu_count(PyObject*, PyObject*) {
  return guarded([&] { return PyLong_FromUnsignedLong(bytes::default_cpu_count()); });
}

PyObject* heap_use(PyObject*, PyObject*) {
  return guarded([&] {
    const bytes::HeapUse use = bytes::heap_use();
    return Py_BuildValue("{s:K,s:K,s:K,s:I}", "bytes_used",
                         static_cast<unsigned long long>(use.bytes_used), "bytes_warm",
                         static_cast<unsigned long long>(use.bytes_warm), "bytes_mapped",
                         static_cast<unsigned long long>(use.bytes_mapped), "members", use.members);
  });
}

PyMethodDef g_functions[] = {
    {"accept_invitation", accept_invitation, METH_VARARGS,
     "accept_invitation(arena_fd, liveness_fd, member, nonce, /)\n--\n\n"
     "Join as an executed child."},
    {"liveness_file", liveness_file, METH_NOARGS,
     "liveness_file()\n--\n\n"
     "The file whose bytes are locked while members live, or -1, and how many bytes these are."},
    {"fork", fork, METH_VARARGS,
     "fork(daemonic, pool_worker, name, /)\n--\n\n"
     "os.fork() of a process of forkful's; it warns of nothing."},
    {"started", started, METH_NOARGS,
     "started()\n--\n\nThe child's number as a member; in the parent, after fork()."},
    {"after_start_in_child", after_start_in_child, METH_NOARGS,
     "after_start_in_child()\n--\n\nIn the child, after fork()."},
    {"leave_family", leave_family, METH_VARARGS,
     "leave_family(exit_code=..., /)\n--\n\nAn orderly end of this process."},
    {"_exit", as_function(exit_now), METH_VARARGS | METH_KEYWORDS,
     "_exit(status)\n--\n\nos._exit(), which tells the family that this is no death."},
    {"cpu_count", cpu_count, METH_NOARGS,
     "cpu_count()\n--\n\nCPUs by affinity and cgroup quota; at least 1."},
    {"heap_use", heap_use, METH_NOARGS, "heap_use()\n--\n\nThe family's shared memory, in bytes."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

Forked take_forked() { return std::exchange(g_forked, {}); }

bool add_processes(PyObject* module) {
  return PyModule_AddFunctions(module, g_functions) == 0 && add_type(module, g_child_spec);
}

}  // namespace forkful::python
