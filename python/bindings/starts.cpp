// What Python's start methods other than fork need of the engine: a place in the family for a child
// that is executed, what its pickle names, and the child's way into that place.
//
// Called by python/forkful/popen_spawn_posix.py and spawn.py, popen_forkserver.py and
// forkserver.py.
//
// Threads: what is gathered, and the child that was noted, are the thread's.
// Signals: see processes.cpp. A child that was executed is noted before any handler runs.
#include <forkful/bytes/attendance.hpp>
#include <forkful/bytes/start.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core.hpp"

namespace forkful::python {
namespace {

using Gathered = std::vector<bytes::Shared>;

constexpr const char* kGathered = "forkful._core.gathered";
constexpr const char* kKept = "forkful._core.kept";

template <class T>
PyObject* to_capsule(T&& value, const char* name) {
  auto owned = std::make_unique<T>(std::forward<T>(value));
  PyObject* capsule = PyCapsule_New(owned.get(), name, [](PyObject* self) {
    delete static_cast<T*>(PyCapsule_GetPointer(self, PyCapsule_GetName(self)));
  });
  if (capsule != nullptr) (void)owned.release();
  return capsule;
}

// The shares in a capsule are what holds the objects until the child has shares of its own.
PyObject* gather(PyObject*, PyObject* function) {
  return guarded([&]() -> PyObject* {
    Gathered shares;
    Ref result;
    {
      const Gathering gathering(shares);
      result = Ref(PyObject_CallNoArgs(function));
    }
    if (!result) return nullptr;
    Ref capsule(to_capsule(std::move(shares), kGathered));
    return capsule ? PyTuple_Pack(2, result.get(), capsule.get()) : nullptr;
  });
}

PyObject* invite(PyObject*, PyObject* args) {
  int daemonic = 0;
  int pool_worker = 0;
  const char* name = nullptr;
  Py_ssize_t name_bytes = 0;
  PyObject* capsule = nullptr;
  if (!PyArg_ParseTuple(args, "ppy#O:invite", &daemonic, &pool_worker, &name, &name_bytes,
                        &capsule)) {
    return nullptr;
  }
  const auto* shares = static_cast<Gathered*>(PyCapsule_GetPointer(capsule, kGathered));
  if (shares == nullptr) return nullptr;
  return guarded([&]() -> PyObject* {
    bytes::Invited invited =
        bytes::invite({.daemonic = daemonic != 0,
                       .pool_worker = pool_worker != 0,
                       .name = std::string(name, static_cast<std::size_t>(name_bytes))},
                      *shares);
    Ref descriptors(PyTuple_New(static_cast<Py_ssize_t>(invited.descriptors.size())));
    for (std::size_t i = 0; descriptors && i < invited.descriptors.size(); ++i) {
      PyObject* number = PyLong_FromLong(invited.descriptors[i]);
      if (number == nullptr) descriptors = Ref();
      if (number != nullptr) {
        PyTuple_SET_ITEM(descriptors.get(), static_cast<Py_ssize_t>(i), number);
      }
    }
    Ref kept(descriptors ? to_capsule(std::move(invited.kept), kKept) : nullptr);
    PyObject* all = kept ? Py_BuildValue("IsOO", invited.member, invited.ticket.c_str(),
                                         descriptors.get(), kept.get())
                         : nullptr;
    if (all == nullptr) (void)bytes::withdraw(invited.member);
    return all;
  });
}

PyObject* withdraw(PyObject*, PyObject* number) {
  const unsigned long member = PyLong_AsUnsignedLong(number);
  if (PyErr_Occurred() != nullptr) return nullptr;
  return guarded([&] {
    const bytes::Withdrawn outcome = bytes::withdraw(static_cast<std::uint32_t>(member));
    return PyLong_FromLong(outcome.withdrawn ? 0 : outcome.pid);
  });
}

// accept(ticket, descriptors=None)
PyObject* accept(PyObject*, PyObject* args) {
  const char* ticket = nullptr;
  PyObject* numbers = Py_None;
  if (!PyArg_ParseTuple(args, "s|O:accept", &ticket, &numbers)) return nullptr;
  return guarded([&]() -> PyObject* {
    if (numbers == Py_None) {
      bytes::accept(ticket);
      Py_RETURN_NONE;
    }
    Ref items(PySequence_Tuple(numbers));
    if (!items) return nullptr;
    std::vector<int> descriptors;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
      const long number = PyLong_AsLong(PyTuple_GET_ITEM(items.get(), i));
      if (PyErr_Occurred() != nullptr) return nullptr;
      descriptors.push_back(static_cast<int>(number));
    }
    bytes::accept(ticket, descriptors);
    Py_RETURN_NONE;
  });
}

// As os.fork(), but for the parent of the child and the handlers of C libraries.
PyObject* fork_sibling(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    const bytes::NoSignals no_signals;
    PyOS_BeforeFork();
    int pid = 0;
    try {
      pid = bytes::fork_sibling();
    } catch (...) {
      PyOS_AfterFork_Parent();
      throw;
    }
    if (pid == 0) {
      PyOS_AfterFork_Child();
    } else {
      PyOS_AfterFork_Parent();
    }
    return PyLong_FromLong(pid);
  });
}

PyObject* count_threads(PyObject*, PyObject*) {
  return guarded([] { return PyLong_FromLong(bytes::count_threads()); });
}

PyObject* await_readable(PyObject*, PyObject* descriptor) {
  const long number = PyLong_AsLong(descriptor);
  if (PyErr_Occurred() != nullptr) return nullptr;
  return guarded([&]() -> PyObject* {
    GilWait wait;
    if (!bytes::await_readable(static_cast<int>(number), wait)) return nullptr;
    Py_RETURN_NONE;
  });
}

thread_local long t_executed = 0;

// execute(function, *arguments): what it answers is the pid of a child.
PyObject* execute(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 1) {
    PyErr_SetString(PyExc_TypeError, "execute() needs a function that starts a process");
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    t_executed = 0;
    const bytes::SignalsOfChildren as_the_program_has_them;
    Ref pid(PyObject_Vectorcall(args[0], args + 1, static_cast<std::size_t>(count - 1), nullptr));
    if (!pid) return nullptr;
    t_executed = PyLong_AsLong(pid.get());
    return PyErr_Occurred() != nullptr ? nullptr : pid.release();
  });
}

PyObject* take_executed(PyObject*, PyObject*) {
  return PyLong_FromLong(std::exchange(t_executed, 0));
}

// Not by the builtin of that name, which first makes the types of Python's syntax trees: a
// millisecond in a process that compiles one file.
PyObject* compile(PyObject*, PyObject* args) {
  const char* source = nullptr;
  Py_ssize_t size = 0;
  PyObject* path = nullptr;
  if (!PyArg_ParseTuple(args, "y#U:compile", &source, &size, &path)) return nullptr;
  if (std::string_view(source, static_cast<std::size_t>(size)).find('\0') !=
      std::string_view::npos) {
    PyErr_SetString(PyExc_SyntaxError, "source code string cannot contain null bytes");
    return nullptr;
  }
  PyCompilerFlags flags = {0, PY_MINOR_VERSION};
  return Py_CompileStringObject(source, path, Py_file_input, &flags, -1);
}

PyMethodDef g_functions[] = {
    {"gather", gather, METH_O,
     "gather(function, /)\n--\n\n"
     "(function(), what holds the family's objects that it has pickled)."},
    {"invite", invite, METH_VARARGS,
     "invite(daemonic, pool_worker, name, gathered, /)\n--\n\n"
     "(member, ticket, descriptors, what keeps them open): a place for a child."},
    {"withdraw", withdraw, METH_O,
     "withdraw(member, /)\n--\n\n"
     "No child came of an invitation: 0, or the pid of one that has accepted it."},
    {"accept", accept, METH_VARARGS,
     "accept(ticket, descriptors=None, /)\n--\n\n"
     "In the child: become the member; what it was handed may have other numbers."},
    {"fork_sibling", fork_sibling, METH_NOARGS,
     "fork_sibling()\n--\n\nFork this process, which has one thread, into its parent's child."},
    {"count_threads", count_threads, METH_NOARGS,
     "count_threads()\n--\n\nHow many threads this process has; 0: not known."},
    {"await_readable", await_readable, METH_O,
     "await_readable(descriptor, /)\n--\n\nWait until something can be read, or nothing ever."},
    {"execute", as_function(execute), METH_FASTCALL,
     "execute(function, /, *arguments)\n--\n\n"
     "function(*arguments), whose answer is the pid of a child; it is noted."},
    {"take_executed", take_executed, METH_NOARGS,
     "take_executed()\n--\n\nThe child that execute() has noted, or 0; once."},
    {"compile", compile, METH_VARARGS,
     "compile(source, path, /)\n--\n\nThe code of a file's bytes."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_starts(PyObject* module) { return PyModule_AddFunctions(module, g_functions) == 0; }

}  // namespace forkful::python
