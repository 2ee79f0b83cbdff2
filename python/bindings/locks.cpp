// Lock, RLock, Semaphore and Event.
//
// The classes of python/forkful/synchronize.py derive from these, and users meet only those. What
// holds for threads, processes and deaths is the engine's: <forkful/bytes/lock.hpp>,
// semaphore.hpp, event.hpp. The types and the first words of errors are those of multiprocessing,
// for programs that tell them apart by these.
//
// GIL:     kept where the lock is free, since giving it away costs more than taking the lock. Only
//          a call that has to wait gives it away; see GilWait.
// Signals: a handler that runs in the middle of a wait may use the same object, for whoever waits
//          has nothing of it yet. What it raises ends the wait, and nothing was acquired then.
#include "locks.hpp"

#include <forkful/bytes/event.hpp>
#include <forkful/bytes/lock.hpp>
#include <forkful/bytes/semaphore.hpp>

#include "arguments.hpp"
#include "label.hpp"
#include "own_methods.hpp"

namespace forkful::python {
namespace {

using bytes::Acquired;
using bytes::OnOwnerDeath;
using bytes::RawEvent;
using bytes::RawLock;
using bytes::RawRLock;
using bytes::RawSemaphore;

PyTypeObject* g_lock_type;
PyTypeObject* g_rlock_type;

// What a method returns for what the engine has answered. Interrupted: a signal's handler has
// raised, and its exception is set.
PyObject* answer(const bytes::Shared& lock, Acquired how) {
  switch (how) {
    case Acquired::yes:
      Py_RETURN_TRUE;
    case Acquired::timed_out:
      Py_RETURN_FALSE;
    case Acquired::interrupted:
      return nullptr;
    case Acquired::owner_died:
      PyErr_Format(g_lock_owner_died,
                   "the process that held the %s died while holding it: the lock is not held here, "
                   "and what it guards may be half-changed; call recover() to take it",
                   lock.called("lock").c_str());
      return nullptr;
  }
  return nullptr;
}

// A semaphore and an event have no owner that could have died. The first argument is there so that
// the templates below call both functions in the same way.
PyObject* answer(const bytes::Shared&, Waited how) {
  switch (how) {
    case Waited::done:
      Py_RETURN_TRUE;
    case Waited::timed_out:
      Py_RETURN_FALSE;
    case Waited::interrupted:
      return nullptr;
  }
  return nullptr;
}

// While this waits another thread may give the object another handle, by a second __init__(). The
// one that is waited at lives on: see Wrapped::replaced.
template <class T>
PyObject* acquire_until(PyObject* self, Deadline deadline) {
  return guarded([&] {
    GilWait wait(deadline);
    const T& lock = Wrapped<T>::of(self);
    PyObject* how = answer(lock, lock.acquire(wait));
    if (how == Py_True) note_holder(self, lock, PyThread_get_thread_ident());
    return how;
  });
}

template <class T>
PyObject* acquire(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Deadline deadline;
  if (!parse_block_and_timeout("acquire", args, count, names, deadline)) return nullptr;
  return acquire_until<T>(self, deadline);
}

// True also as the value of the with statement, as multiprocessing's locks have it.
template <class T>
PyObject* enter(PyObject* self, PyObject*) {
  return acquire_until<T>(self, Deadline::never());
}

// By any thread of any process, as with multiprocessing: of a Lock only whether it is held counts.
// Its holder is forgotten ahead, since from the release on another thread may take it.
PyObject* release_lock(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    const RawLock& lock = Wrapped<RawLock>::of(self);
    note_holder(self, lock, 0);
    if (lock.release()) Py_RETURN_NONE;
    PyErr_Format(PyExc_ValueError,
                 "semaphore or lock released too many times: the %s is not held by anybody",
                 Wrapped<RawLock>::of(self).called("Lock").c_str());
    return nullptr;
  });
}

// Threads: the engine looks which thread calls, so this is for the one that has acquired it.
PyObject* release_rlock(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    if (Wrapped<RawRLock>::of(self).release()) Py_RETURN_NONE;
    PyErr_Format(PyExc_AssertionError,
                 "attempt to release recursive lock not owned by thread: acquire the %s first, "
                 "in the same thread of the same process",
                 Wrapped<RawRLock>::of(self).called("RLock").c_str());
    return nullptr;
  });
}

PyObject* release_semaphore(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    if (Wrapped<RawSemaphore>::of(self).release()) Py_RETURN_NONE;
    PyErr_Format(PyExc_ValueError,
                 "semaphore or lock released too many times: the %s is at its maximum",
                 Wrapped<RawSemaphore>::of(self).called("semaphore").c_str());
    return nullptr;
  });
}

// Called at the end of every with block: by METH_FASTCALL nobody makes a tuple of the three
// arguments, which say nothing to a lock. None, so that an exception of the block goes on.
template <PyObject* (*Release)(PyObject*, PyObject*)>
PyObject* leave(PyObject* self, PyObject* const*, Py_ssize_t) {
  return Release(self, nullptr);
}

template <class T>
PyObject* locked(PyObject* self, PyObject*) {
  return guarded([&] { return PyBool_FromLong(Wrapped<T>::of(self).locked()); });
}

template <class T>
PyObject* recover(PyObject* self, PyObject*) {
  return guarded([&] {
    const T& lock = Wrapped<T>::of(self);
    const bool taken = lock.recover();
    if (taken) note_holder(self, lock, PyThread_get_thread_ident());
    return PyBool_FromLong(taken);
  });
}

// The object is made only when all arguments are good: where this raises, an object that was made
// before is as it was.
template <class T>
int init_lock(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"policy", "name", nullptr};
  const char* policy = "raise";
  PyObject* name = nullptr;
  Label label;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|s$O:Lock", const_cast<char**>(names), &policy,
                                   &name) ||
      !parse_label(name, label)) {
    return -1;
  }
  OnOwnerDeath death{};
  const std::string_view word(policy);
  if (word == "raise") {
    death = OnOwnerDeath::raise;
  } else if (word == "recover") {
    death = OnOwnerDeath::recover;
  } else if (word == "block") {
    death = OnOwnerDeath::block;
  } else {
    PyErr_Format(PyExc_ValueError, "policy must be 'raise', 'recover' or 'block', not '%s'",
                 policy);
    return -1;
  }
  return guarded_init([&] {
    Wrapped<T>::set(self, T::create(death, label));
    return true;
  });
}

// Under the names that the locks of multiprocessing have for them.
template <class T>
PyObject* is_mine(PyObject* self, PyObject*) {
  return guarded([&] { return PyBool_FromLong(is_held_here(self, Wrapped<T>::of(self))); });
}
PyObject* lock_count(PyObject* self, PyObject*) {
  return guarded([&] { return PyLong_FromLong(Wrapped<RawLock>::of(self).mine() ? 1 : 0); });
}
PyObject* rlock_count(PyObject* self, PyObject*) {
  return guarded([&] {
    const RawRLock& lock = Wrapped<RawRLock>::of(self);
    return PyLong_FromUnsignedLong(lock.held_by_member() ? lock.depth() : 0);
  });
}

// 2^31 - 1 is what the standard semaphore has as its maximum on Linux. The numbers are read as long
// long, so that one that has no room in 32 bits is refused with its value, and not cut off.
// A number of permits, as a semaphore is given it. False with an exception set.
bool to_permits(PyObject* given, long long& permits) {
  if (given == nullptr) return true;
  if (!PyIndex_Check(given)) {
    PyErr_Format(PyExc_TypeError, "semaphore's initial value must be an int, not %R", given);
    return false;
  }
  permits = PyLong_AsLongLong(given);
  return permits != -1 || PyErr_Occurred() == nullptr;
}

int init_semaphore(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"value", "maxvalue", "name", nullptr};
  long long value = 1;
  long long most = 0x7fffffff;
  PyObject* first = nullptr;
  PyObject* highest = nullptr;
  PyObject* name = nullptr;
  Label label;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO$O:Semaphore", const_cast<char**>(names),
                                   &first, &highest, &name) ||
      !to_permits(first, value) || !to_permits(highest, most) || !parse_label(name, label)) {
    return -1;
  }
  if (value < 0 || value > most || most > 0x7fffffff) {
    const long long limit = most < 0 ? 0x7fffffff : most;  // of a bounded one, `most` is the value
    PyErr_Format(PyExc_ValueError, "semaphore's initial value must be 0 to %lld, not %lld", limit,
                 value);
    return -1;
  }
  return guarded_init([&] {
    Wrapped<RawSemaphore>::set(self, RawSemaphore::create(static_cast<std::uint32_t>(value),
                                                          static_cast<std::uint32_t>(most), label));
    return true;
  });
}

PyObject* semaphore_value(PyObject* self, PyObject*) {
  return guarded([&] { return PyLong_FromUnsignedLong(Wrapped<RawSemaphore>::of(self).value()); });
}
PyObject* semaphore_most(PyObject* self, void*) {
  return guarded([&] { return PyLong_FromUnsignedLong(Wrapped<RawSemaphore>::of(self).most()); });
}

int init_event(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"name", nullptr};
  PyObject* name = nullptr;
  Label label;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$O:Event", const_cast<char**>(names), &name) ||
      !parse_label(name, label)) {
    return -1;
  }
  return guarded_init([&] {
    Wrapped<RawEvent>::set(self, RawEvent::create(label));
    return true;
  });
}

PyObject* event_set(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    Wrapped<RawEvent>::of(self).set();
    Py_RETURN_NONE;
  });
}
PyObject* event_clear(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    Wrapped<RawEvent>::of(self).clear();
    Py_RETURN_NONE;
  });
}
PyObject* event_is_set(PyObject* self, PyObject*) {
  return guarded([&] { return PyBool_FromLong(Wrapped<RawEvent>::of(self).is_set()); });
}
PyObject* event_wait(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Deadline deadline;
  if (!parse_timeout("wait", args, count, names, deadline)) return nullptr;
  return guarded([&] {
    GilWait wait(deadline);
    const RawEvent& event = Wrapped<RawEvent>::of(self);
    return answer(event, event.wait(wait));
  });
}

constexpr const char kAcquireDoc[] =
    "acquire($self, block=True, timeout=None)\n--\n\n"
    "True: it is acquired. False: it was not free in time, and nothing has changed.\n\n"
    "Args:\n"
    "    block: False: do not wait.\n"
    "    timeout: How many seconds to wait at most; None: as long as it takes; 0 or less: not.\n"
    "Raises:\n"
    "    LockOwnerDied: The process that held it has died, and the policy is 'raise': it is not\n"
    "        acquired, and what it guards may be half-changed. recover() takes it. Never of a\n"
    "        Semaphore, whose permits have no owner. (multiprocessing waits for ever.)\n"
    "    TypeError, ValueError: timeout is no number of seconds.";
constexpr const char kEnterDoc[] =
    "__enter__($self, /)\n--\n\nacquire(), without a time-out.\n\nRaises: As acquire().";
constexpr const char kExitDoc[] =
    "__exit__($self, /, *args)\n--\n\nrelease()\n\nRaises: As release().";
constexpr const char kReleaseLockDoc[] =
    "release($self, /)\n--\n\n"
    "Release it; any process and thread may.\n\n"
    "Raises:\n"
    "    ValueError: Nobody holds it; nothing has changed.";
constexpr const char kReleaseRLockDoc[] =
    "release($self, /)\n--\n\n"
    "Undo one acquire(); it is free when as many were undone as there were.\n\n"
    "Raises:\n"
    "    AssertionError: This thread does not hold it; nothing has changed.";
constexpr const char kReleaseSemaphoreDoc[] =
    "release($self, /)\n--\n\n"
    "Give one permit back, or add one; any process and thread may.\n\n"
    "Raises:\n"
    "    ValueError: It is at its maximum; nothing has changed.";
constexpr const char kLockedDoc[] = "locked($self, /)\n--\n\nWhether anybody holds it.";
constexpr const char kRecoverDoc[] =
    "recover($self, /)\n--\n\n"
    "Take it from an owner that has died: True, and this thread holds it.\n\n"
    "False: no dead process has it; nothing has changed. (Not in multiprocessing.)";

constexpr const char kIsMineDoc[] = "_is_mine($self, /)\n--\n\nWhether this thread holds it.";
constexpr const char kCountDoc[] =
    "_count($self, /)\n--\n\nHow often this process has acquired it; 0: another one has, or none.";

// By these two pickle, and forkful's own writer, send the object as its name; see handles.hpp.
#define COMMON(T)                                                    \
  {"__getstate__", Wrapped<T>::getstate, METH_NOARGS,                \
   "__getstate__($self, /)\n--\n\nNames the object for relatives."}, \
      {"__setstate__", Wrapped<T>::setstate, METH_O,                 \
       "__setstate__($self, state, /)\n--\n\nBecomes the object that was named."}

// Macros, since a table of methods is a plain array of C.
#define LOCK_METHODS(T, RELEASE, RELEASE_DOC)                                       \
  {"acquire", as_function(acquire<T>), METH_FASTCALL | METH_KEYWORDS, kAcquireDoc}, \
      {"release", RELEASE, METH_NOARGS, RELEASE_DOC},                               \
      {"__enter__", enter<T>, METH_NOARGS, kEnterDoc},                              \
      {"__exit__", as_function(leave<RELEASE>), METH_FASTCALL, kExitDoc}, COMMON(T)

PyMethodDef g_lock_methods[] = {LOCK_METHODS(RawLock, release_lock, kReleaseLockDoc),
                                {"locked", locked<RawLock>, METH_NOARGS, kLockedDoc},
                                {"recover", recover<RawLock>, METH_NOARGS, kRecoverDoc},
                                {"_is_mine", is_mine<RawLock>, METH_NOARGS, kIsMineDoc},
                                {"_count", lock_count, METH_NOARGS, kCountDoc},
                                {nullptr, nullptr, 0, nullptr}};
PyMethodDef g_rlock_methods[] = {LOCK_METHODS(RawRLock, release_rlock, kReleaseRLockDoc),
                                 {"locked", locked<RawRLock>, METH_NOARGS, kLockedDoc},
                                 {"recover", recover<RawRLock>, METH_NOARGS, kRecoverDoc},
                                 {"_is_mine", is_mine<RawRLock>, METH_NOARGS, kIsMineDoc},
                                 {"_count", rlock_count, METH_NOARGS, kCountDoc},
                                 {nullptr, nullptr, 0, nullptr}};
PyMethodDef g_semaphore_methods[] = {
    LOCK_METHODS(RawSemaphore, release_semaphore, kReleaseSemaphoreDoc),
    {"get_value", semaphore_value, METH_NOARGS,
     "get_value($self, /)\n--\n\nThe number of permits at the moment of the look."},
    {nullptr, nullptr, 0, nullptr}};
PyMethodDef g_event_methods[] = {
    {"set", event_set, METH_NOARGS, "set($self, /)\n--\n\nSet the flag and wake all waiters."},
    {"clear", event_clear, METH_NOARGS, "clear($self, /)\n--\n\nClear the flag."},
    {"is_set", event_is_set, METH_NOARGS, "is_set($self, /)\n--\n\nWhether the flag is set."},
    {"wait", as_function(event_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, timeout=None)\n--\n\n"
     "Wait until the flag is set. True: it is, or was meanwhile. False: not in time.\n\n"
     "Args:\n"
     "    timeout: How many seconds to wait at most; None: as long as it takes.\n"
     "Raises:\n"
     "    TypeError, ValueError: timeout is no number of seconds."},
    COMMON(RawEvent),
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef g_semaphore_attributes[] = {
    {"_maxvalue", semaphore_most, nullptr, "What release() does not go beyond.", nullptr},
    label_attribute<RawSemaphore>,
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
template <class T>
PyGetSetDef g_attributes[] = {label_attribute<T>, {nullptr, nullptr, nullptr, nullptr, nullptr}};

// A type for subclasses in Python. It takes no part in garbage collection: a handle of the engine
// refers to no Python object, and a subclass with attributes brings its own part.
template <class T>
bool add_lock(PyObject* module, const char* name, const char* doc, initproc init,
              PyMethodDef* methods, PyTypeObject** into = nullptr,
              PyGetSetDef* attributes = g_attributes<T>) {
  PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(Wrapped<T>::blank)},
                         {Py_tp_init, reinterpret_cast<void*>(init)},
                         {Py_tp_getset, attributes},
                         {Py_tp_dealloc, reinterpret_cast<void*>(Wrapped<T>::dealloc)},
                         {Py_tp_methods, methods},
                         {Py_tp_doc, const_cast<char*>(doc)},
                         {0, nullptr}};
  constexpr auto kSize = std::is_same_v<T, RawLock> ? sizeof(LockObject) : sizeof(Wrapped<T>);
  PyType_Spec spec{name, kSize, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  return add_type(module, spec, into);
}

// Which of the two methods a class has: those of the bindings, or others.
class OwnMethods {
 public:
  explicit OwnMethods(PyTypeObject* base)
      : acquire_(find(base, acquire_name_)), release_(find(base, release_name_)) {}
  // Throws PythonError.
  [[nodiscard]] bool are_those_of(PyTypeObject* type) const {
    return find(type, acquire_name_) == acquire_ && find(type, release_name_) == release_;
  }

 private:
  static PyMethodDef* find(PyTypeObject* type, const Ref& name) {
    const Ref found(PyObject_GetAttr(reinterpret_cast<PyObject*>(type), name.get()));
    if (!found) throw PythonError();
    return method_in(found.get());
  }
  Ref acquire_name_{PyUnicode_InternFromString("acquire")};
  Ref release_name_{PyUnicode_InternFromString("release")};
  PyMethodDef* acquire_;
  PyMethodDef* release_;
};

}  // namespace

bool is_held_here(PyObject* lock, const RawLock& raw) {
  const unsigned long holder = LockObject::whole(lock).holder;
  return raw.mine() && (holder == 0 || holder == PyThread_get_thread_ident());
}

const RawLock* raw_lock_of(PyObject* lock) {
  return PyObject_TypeCheck(lock, g_lock_type) ? &Wrapped<RawLock>::of(lock) : nullptr;
}
const RawRLock* raw_rlock_of(PyObject* lock) {
  return PyObject_TypeCheck(lock, g_rlock_type) ? &Wrapped<RawRLock>::of(lock) : nullptr;
}

// For the life of the process, as the types themselves.
bool has_own_methods(PyObject* lock) {
  static const auto* const locks = new OwnMethods(g_lock_type);
  static const auto* const rlocks = new OwnMethods(g_rlock_type);
  if (PyObject_TypeCheck(lock, g_lock_type) != 0) return locks->are_those_of(Py_TYPE(lock));
  return PyObject_TypeCheck(lock, g_rlock_type) != 0 && rlocks->are_those_of(Py_TYPE(lock));
}

bool add_locks(PyObject* module) {
  return add_lock<RawLock>(module, "forkful._core.Lock",
                           "Lock(policy='raise', *, name=None)\n--\n\nA lock.", init_lock<RawLock>,
                           g_lock_methods, &g_lock_type) &&
         add_lock<RawRLock>(module, "forkful._core.RLock",
                            "RLock(policy='raise', *, name=None)\n--\n\nA lock of threads.",
                            init_lock<RawRLock>, g_rlock_methods, &g_rlock_type) &&
         add_lock<RawSemaphore>(
             module, "forkful._core.Semaphore",
             "Semaphore(value=1, maxvalue=2147483647, *, name=None)\n--\n\nPermits.",
             init_semaphore, g_semaphore_methods, nullptr, g_semaphore_attributes) &&
         add_lock<RawEvent>(module, "forkful._core.Event", "Event(*, name=None)\n--\n\nA flag.",
                            init_event, g_event_methods);
}

}  // namespace forkful::python
