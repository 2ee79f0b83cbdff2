// Condition: a place to wait for a notification, with the lock that is given away meanwhile.
//
// forkful.synchronize.Condition derives from it and has the lock, which it hands in with each call.
// What holds for processes and deaths is the engine's: <forkful/bytes/condition.hpp>.
//
// Locks:   those of ours are given away and taken again here, however deep they are held, without a
//          step between the ticket and the wait in which a signal's handler could run. Of any other
//          lock, and of a subclass's acquire() and release(), the methods are called.
// GIL:     kept but for the waits.
// Signals: what a handler raises ends the wait. It comes out when the lock is held again, since
//          whoever called will release it; a handler runs at once in any case.
// Death:   whoever dies with the lock is reported, and the lock is held here then, for the same
//          reason.
#include <forkful/bytes/condition.hpp>
#include <optional>

#include "arguments.hpp"
#include "attributes.hpp"
#include "label.hpp"
#include "locks.hpp"

namespace forkful::python {
namespace {

using bytes::Acquired;
using bytes::RawCondition;

int init(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"name", nullptr};
  PyObject* name = nullptr;
  Label label;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$O:Condition", const_cast<char**>(names),
                                   &name) ||
      !parse_label(name, label)) {
    return -1;
  }
  return guarded_init([&] {
    Wrapped<RawCondition>::set(self, RawCondition::create(label));
    return true;
  });
}

// The error that is set, whose context becomes the one before, if there was one.
Ref take_later_error(Ref earlier) {
  Ref later = take_error();
  if (earlier) PyException_SetContext(later.get(), earlier.release());
  return later;
}

// An exception of the wait, which may be kept for later, and whether it was notified.
struct Woken {
  bool notified = false;
  Ref error;  // of a signal's handler, or of whatever else went wrong
};

// Until a notification, the deadline or an exception. The ticket is used up then.
Woken wait_with(const RawCondition& condition, std::uint64_t ticket, Deadline deadline) {
  Woken woken;
  try {
    GilWait wait(deadline);
    const Waited how = condition.wait(ticket, wait);
    woken.notified = how == Waited::done;
    if (how == Waited::interrupted) woken.error = take_error();
  } catch (...) {
    raise_current();
    woken.error = take_error();
  }
  return woken;
}

// Requires: the lock is held. What is raised after a notification has come is told instead of it;
// so another waiter gets that, if there is one.
PyObject* answer(const RawCondition& condition, Woken woken) {
  if (!woken.error) return PyBool_FromLong(woken.notified);
  try {
    if (woken.notified) condition.notify(1);
  } catch (...) {
    raise_current();
    woken.error = take_later_error(std::move(woken.error));
  }
  give_back_error(std::move(woken.error));
  return nullptr;
}

PyObject* raise_not_held(const RawCondition& condition, const char* first_words) {
  PyErr_Format(PyExc_AssertionError,
               "%s: the lock of the %s is not held by this thread, so acquire() it first",
               first_words, condition.called("Condition").c_str());
  return nullptr;
}

// Takes a lock of ours as often as it was held. Waits however long that takes: see the file's head.
template <class Lock>
void take_again(PyObject* object, const Lock& lock, std::uint32_t depth, Ref& error) {
  bool recovered = false;
  for (GilWait forever; !recovered;) {
    const Acquired how = lock.acquire(forever);
    if (how == Acquired::yes) break;
    if (how == Acquired::interrupted) error = take_later_error(std::move(error));
    if (how == Acquired::owner_died) recovered = lock.recover();
  }
  for (std::uint32_t i = 1; i < depth; ++i) {
    GilWait poll(Deadline::poll());
    (void)lock.acquire(poll);
  }
  note_holder(object, lock, PyThread_get_thread_ident());
  if (!recovered) return;
  PyErr_Format(g_lock_owner_died,
               "the process that held the %s of a Condition died while this one waited, so what "
               "the lock guards may be half-changed; the lock is held here again",
               lock.called("lock").c_str());
  error = take_later_error(std::move(error));
}

// The ticket is taken while the lock is held, so that its next owner notifies this thread, too.
template <class Lock>
PyObject* wait_with_ours(const RawCondition& condition, PyObject* object, const Lock& lock,
                         Deadline deadline) {
  const std::uint64_t ticket = condition.enter();
  note_holder(object, lock, 0);
  const std::uint32_t depth = lock.release_all();
  Woken woken = wait_with(condition, ticket, deadline);
  take_again(object, lock, depth, woken.error);
  return answer(condition, std::move(woken));
}

PyObject* call(PyObject* object, const char* method) {
  return PyObject_CallMethod(object, method, nullptr);
}

// A lock of which nothing is known but its methods. `depth`: how often it is held, as far as it
// says so. Threading's own way to give a lock away at once is used where there is one.
class OthersLock {
 public:
  explicit OthersLock(PyObject* lock) : lock_(Ref::borrow(lock)) {}

  // False with an exception set.
  bool give_away() {
    Ref save;
    if (!optional_attribute(lock_.get(), "_release_save", save) ||
        !optional_attribute(lock_.get(), "_acquire_restore", restore_)) {
      return false;
    }
    if (save && restore_) {
      saved_ = Ref(PyObject_CallNoArgs(save.get()));
      return bool(saved_);
    }
    restore_ = Ref();
    Ref count;
    if (!optional_attribute(lock_.get(), "_count", count)) return false;
    if (count && PyCallable_Check(count.get()) != 0) {
      const Ref depth(PyObject_CallNoArgs(count.get()));
      depth_ = depth ? PyLong_AsLong(depth.get()) : -1;
      if (depth_ == -1 && PyErr_Occurred() != nullptr) return false;
    }
    for (long i = 0; i < depth_; ++i) {
      if (!Ref(call(lock_.get(), "release"))) return false;
    }
    return true;
  }
  // False with an exception set: it is not held again, then.
  bool take_again() {
    if (restore_) return bool(Ref(PyObject_CallOneArg(restore_.get(), saved_.get())));
    for (long i = 0; i < depth_; ++i) {
      if (!Ref(call(lock_.get(), "acquire"))) return false;
    }
    return true;
  }

 private:
  Ref lock_;
  Ref restore_;
  Ref saved_;
  long depth_ = 1;
};

PyObject* wait_with_others(const RawCondition& condition, PyObject* lock, Deadline deadline) {
  const std::uint64_t ticket = condition.enter();
  OthersLock others(lock);
  if (!others.give_away()) {
    const ErrorKept kept;
    GilWait poll(Deadline::poll());
    (void)condition.wait(ticket, poll);
    return nullptr;
  }
  Woken woken = wait_with(condition, ticket, deadline);
  if (!others.take_again()) woken.error = take_later_error(std::move(woken.error));
  return answer(condition, std::move(woken));
}

// Whether this thread holds a lock. One that is not ours is asked where it has a word for that, and
// believed otherwise: its release() refuses, if anything does. Nothing where an exception is set.
std::optional<bool> is_held(PyObject* lock) {
  if (const auto* plain = raw_lock_of(lock)) return is_held_here(lock, *plain);
  if (const auto* recursive = raw_rlock_of(lock)) return recursive->mine();
  for (const char* name : {"_is_mine", "_is_owned"}) {
    Ref ask;
    if (!optional_attribute(lock, name, ask)) return {};
    if (!ask) continue;
    const Ref answer(PyObject_CallNoArgs(ask.get()));
    const int held = answer ? PyObject_IsTrue(answer.get()) : -1;
    if (held < 0) return {};
    return held != 0;
  }
  return true;
}

// _wait(lock, timeout=None, /)
PyObject* wait(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  Deadline deadline;
  if (count < 1 || count > 2) {
    PyErr_SetString(PyExc_TypeError, "_wait() takes a lock and a timeout");
    return nullptr;
  }
  if (!to_deadline(nullptr, count == 2 ? args[1] : nullptr, deadline)) return nullptr;
  return guarded([&]() -> PyObject* {
    PyObject* lock = args[0];
    const RawCondition condition = Wrapped<RawCondition>::of(self);
    const auto held = is_held(lock);
    if (!held) return nullptr;
    if (!*held) return raise_not_held(condition, "must acquire() condition before using wait()");
    const auto* plain = raw_lock_of(lock);
    const auto* recursive = raw_rlock_of(lock);
    if (!has_own_methods(lock)) return wait_with_others(condition, lock, deadline);
    return plain != nullptr ? wait_with_ours(condition, lock, *plain, deadline)
                            : wait_with_ours(condition, lock, *recursive, deadline);
  });
}

// How many to notify, out of any Python integer. False with an exception set.
bool to_count(PyObject* number, std::uint32_t& count) {
  int overflow = 0;
  const long long most = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (most == -1 && overflow == 0 && PyErr_Occurred() != nullptr) return false;
  constexpr long long kAll = 0xffffffff;
  count = overflow > 0 || most > kAll ? kAll
          : overflow < 0 || most < 0  ? 0
                                      : static_cast<std::uint32_t>(most);
  return true;
}

// _notify(lock, n, /)
PyObject* notify(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::uint32_t most = 0;
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "_notify() takes a lock and a number");
    return nullptr;
  }
  if (!to_count(args[1], most)) return nullptr;
  return guarded([&]() -> PyObject* {
    const RawCondition condition = Wrapped<RawCondition>::of(self);
    const auto held = is_held(args[0]);
    if (!held) return nullptr;
    if (!*held) return raise_not_held(condition, "lock is not owned");
    if (most > 0) condition.notify(most);
    Py_RETURN_NONE;
  });
}

PyObject* waiters(PyObject* self, PyObject*) {
  return guarded(
      [&] { return PyLong_FromUnsignedLong(Wrapped<RawCondition>::of(self).waiters()); });
}

PyMethodDef g_methods[] = {
    {"_wait", as_function(wait), METH_FASTCALL,
     "_wait($self, lock, timeout=None, /)\n--\n\nGive the lock away and wait; take it again."},
    {"_notify", as_function(notify), METH_FASTCALL,
     "_notify($self, lock, n, /)\n--\n\nWake n of those who wait, while the lock is held."},
    {"_waiters", waiters, METH_NOARGS,
     "_waiters($self, /)\n--\n\nHow many wait and were not notified yet."},
    {"__getstate__", Wrapped<RawCondition>::getstate, METH_NOARGS,
     "__getstate__($self, /)\n--\n\nNames the object for relatives."},
    {"__setstate__", Wrapped<RawCondition>::setstate, METH_O,
     "__setstate__($self, state, /)\n--\n\nBecomes the object that was named."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef g_attributes[] = {label_attribute<RawCondition>,
                              {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot g_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(Wrapped<RawCondition>::blank)},
    {Py_tp_init, reinterpret_cast<void*>(init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Wrapped<RawCondition>::dealloc)},
    {Py_tp_methods, g_methods},
    {Py_tp_getset, g_attributes},
    {Py_tp_doc, const_cast<char*>("Condition(*, name=None)\n--\n\nA place to wait.")},
    {0, nullptr}};

PyType_Spec g_spec{"forkful._core.Condition", sizeof(Wrapped<RawCondition>), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_slots};

}  // namespace

bool add_condition(PyObject* module) { return add_type(module, g_spec); }

}  // namespace forkful::python
