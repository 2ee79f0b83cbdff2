// What Python's Process needs of the engine around its fork.
#include <forkful/bytes/family.hpp>

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

PyObject* before_start(PyObject*, PyObject* args) {
  int daemonic = 0;
  int pool_worker = 0;
  if (!PyArg_ParseTuple(args, "pp:before_start", &daemonic, &pool_worker)) return nullptr;
  return guarded([&]() -> PyObject* {
    bytes::before_start({.daemonic = daemonic != 0, .pool_worker = pool_worker != 0});
    Py_RETURN_NONE;
  });
}

// Why not os.fork(): from Python 3.12 on it warns of any other thread, a pool's own ones included.
PyObject* fork(PyObject*, PyObject*) {
  if (PySys_Audit("os.fork", nullptr) < 0) return nullptr;
  return guarded([&] {
    PyOS_BeforeFork();
    int pid = 0;
    try {
      pid = bytes::fork_process();
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

PyObject* started(PyObject*, PyObject*) {
  return guarded([&] { return PyLong_FromUnsignedLong(bytes::started()); });
}

PyObject* after_start_in_child(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    bytes::after_start_in_child();
    Py_RETURN_NONE;
  });
}

PyObject* process_ended(PyObject*, PyObject* member) {
  const unsigned long id = PyLong_AsUnsignedLong(member);
  if (id == static_cast<unsigned long>(-1) && PyErr_Occurred()) return nullptr;
  return guarded([&]() -> PyObject* {
    bytes::process_ended(static_cast<std::uint32_t>(id));
    Py_RETURN_NONE;
  });
}

PyObject* leave_family(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    bytes::leave_family();
    Py_RETURN_NONE;
  });
}

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
     "accept_invitation(arena_fd, liveness_fd, member, nonce): join as an executed child."},
    {"before_start", before_start, METH_VARARGS,
     "before_start(daemonic, pool_worker): before fork()."},
    {"fork", fork, METH_NOARGS, "os.fork(), which warns of nothing."},
    {"started", started, METH_NOARGS, "The child's name as a member; in the parent, after fork()."},
    {"after_start_in_child", after_start_in_child, METH_NOARGS, "In the child, after fork()."},
    {"process_ended", process_ended, METH_O,
     "process_ended(member): its process has been waited for."},
    {"leave_family", leave_family, METH_NOARGS, "An orderly end of this process."},
    {"cpu_count", cpu_count, METH_NOARGS, "CPUs by affinity and cgroup quota; at least 1."},
    {"heap_use", heap_use, METH_NOARGS, "The family's shared memory, in bytes."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_processes(PyObject* module) { return PyModule_AddFunctions(module, g_functions) == 0; }

}  // namespace forkful::python
