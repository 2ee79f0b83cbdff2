// Job: what Python's AsyncResult and imap iterators stand on.
//
// A job is made before it is submitted, and has its number (id) only from then on; pool_submit.cpp
// gives it its items, pool_collect.cpp its results. Here is what its callers ask: waiting, and the
// results that are there.
//
// References: a job has its PoolClient as long as it lives. The client has the job while it is
//             unfinished, and so has the job its Pool (_pool): a pool that a program drops ends
//             only when its results are there.
// GIL:        guards all fields; given away only within collect_until() and code of others.
#include "arguments.hpp"
#include "pool_client.hpp"

namespace forkful::python {
namespace {

PyTypeObject* g_job_type;
PyTypeObject* g_client_type;
PyObject* g_finished;

// Job(client, kind, wants_callback), the kind being a JobKind.
PyObject* new_job(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject* client = nullptr;
  unsigned int kind = 0;
  int wants_callback = 0;
  if (!PyArg_ParseTuple(args, "O!Ip:Job", g_client_type, &client, &kind, &wants_callback))
    return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  Job* job = job_of(self);
  new (&job->have) decltype(job->have)();
  new (&job->ahead) ItemWindow();
  job->client = Py_NewRef(client);
  job->kind = static_cast<JobKind>(kind);
  job->wants_callback = wants_callback != 0;
  return self;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Job* job = job_of(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(job->client);
  Py_VISIT(job->value);
  Py_VISIT(job->error);
  Py_VISIT(job->input_error);
  Py_VISIT(job->feeder);
  Py_VISIT(job->pool);
  Py_VISIT(job->future);
  int stop = 0;
  job->ahead.each([&](PyObject* object) {
    if (stop == 0) stop = visit(object, arg);
  });
  return stop;
}

// At the end of a job, or where it is garbage: no caller has it any more, who might expect a
// client.
int clear(PyObject* self) {
  Job* job = job_of(self);
  Py_CLEAR(job->client);
  Py_CLEAR(job->value);
  Py_CLEAR(job->error);
  Py_CLEAR(job->input_error);
  Py_CLEAR(job->feeder);
  Py_CLEAR(job->pool);
  Py_CLEAR(job->future);
  job->ahead.clear();
  return 0;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear(self);
  Job* job = job_of(self);
  job->have.~vector();
  job->ahead.~ItemWindow();
  type->tp_free(self);
  Py_DECREF(type);
}

// Waits until the job is done. 1: so; 0: not in time; -1: an exception is set.
int wait_done(Job* job, Deadline deadline) {
  if (job->done) return 1;
  try {
    return collect_until(client_of(job->client), job, Until::job_done, deadline);
  } catch (...) {
    raise_current();
    return -1;
  }
}

PyObject* wait(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Deadline deadline;
  if (!parse_timeout("wait", args, count, names, deadline)) return nullptr;
  if (wait_done(job_of(self), deadline) < 0) return nullptr;
  Py_RETURN_NONE;
}

// By the object itself and not a copy: get() may be called again, and each call adds to its
// traceback, as with multiprocessing.
PyObject* raise_kept(PyObject* error) {
  // Ctrl-C reaches the workers as well: this process's own interrupt goes before theirs, or it
  // would come a second time while the caller handles the first.
  if (PyErr_GivenExceptionMatches(error, PyExc_KeyboardInterrupt) && PyErr_CheckSignals() != 0) {
    return nullptr;
  }
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
  return nullptr;
}

PyObject* get(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Deadline deadline;
  if (!parse_timeout("get", args, count, names, deadline)) return nullptr;
  Job* job = job_of(self);
  const int how = wait_done(job, deadline);
  if (how < 0) return nullptr;
  if (how == 0) {
    PyErr_Format(g_timeout_error,
                 "the result was not there within %S seconds; its call goes on, and get() may be "
                 "called again",
                 args[0]);
    return nullptr;
  }
  if (job->error != nullptr) return raise_kept(job->error);
  return Py_NewRef(job->value != nullptr ? job->value : Py_None);
}

// Collects what is there, without waiting: a program that only polls has its results by that.
bool look(Job* job) {
  if (job->done) return true;
  try {
    return collect_until(client_of(job->client), job, Until::job_done, Deadline::poll()) >= 0;
  } catch (...) {
    raise_current();
    return false;
  }
}

PyObject* ready(PyObject* self, PyObject*) {
  if (!look(job_of(self))) return nullptr;
  return PyBool_FromLong(job_of(self)->done);
}

PyObject* successful(PyObject* self, PyObject*) {
  Job* job = job_of(self);
  if (!look(job)) return nullptr;
  if (!job->done) {
    PyErr_Format(PyExc_ValueError, "successful(): %R is not ready: call wait() first", self);
    return nullptr;
  }
  return PyBool_FromLong(job->error == nullptr);
}

// Asks for more input when less than half of the bound lies ahead. A forked child draws nothing:
// what it submitted would be its parent's to run.
bool feed(Job* job) {
  if (job->feeder == nullptr || job->all_submitted || job->total - job->given >= job->low_water ||
      !is_ours(client_of(job->client))) {
    return true;
  }
  Ref done(PyObject_CallNoArgs(job->feeder));
  return bool(done);
}

// The next item of an iterator. Raises StopIteration, or the item's own error. `timeout` is what
// the deadline was made of; it may be null where that never comes.
PyObject* next_item(Job* job, Deadline deadline, PyObject* timeout) {
  return guarded([&]() -> PyObject* {
    if (!feed(job)) return nullptr;
    const int how = collect_until(client_of(job->client), job, Until::next_item, deadline);
    if (how < 0) return nullptr;
    if (how == 0) {
      PyErr_Format(g_timeout_error,
                   "the next result was not there within %S seconds; next() may be called again",
                   timeout);
      return nullptr;
    }
    // What a handler raises comes before the item is taken, as far as that can be.
    if (PyErr_CheckSignals() != 0) return nullptr;
    if (!job->ahead.has_next()) {
      PyErr_SetNone(PyExc_StopIteration);
      return nullptr;
    }
    // Out of the window and counted in one go, without code in between: no item comes twice.
    ItemWindow::Item item = job->ahead.take();
    ++job->given;
    return item.ok ? item.object.release() : raise_kept(item.object.get());
  });
}

// _next(timeout=None)
PyObject* next(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Deadline deadline;
  if (!parse_timeout("next", args, count, names, deadline)) return nullptr;
  return next_item(job_of(self), deadline, count != 0 || names != nullptr ? args[0] : nullptr);
}

PyObject* iternext(PyObject* self) { return next_item(job_of(self), Deadline::never(), nullptr); }

// _prepare(count): a map's list of that many places.
PyObject* prepare(PyObject* self, PyObject* count) {
  const Py_ssize_t size = PyLong_AsSsize_t(count);
  if (size < 0) return nullptr;
  Ref list(PyList_New(size));
  if (!list) return nullptr;
  for (Py_ssize_t i = 0; i < size; ++i) PyList_SET_ITEM(list.get(), i, Py_NewRef(Py_None));
  Py_XSETREF(job_of(self)->value, list.release());
  Py_RETURN_NONE;
}

// _set_feeder(feeder, low_water): called from _next() when fewer items lie ahead.
PyObject* set_feeder(PyObject* self, PyObject* args) {
  PyObject* feeder = nullptr;
  unsigned int low_water = 0;
  if (!PyArg_ParseTuple(args, "OI:_set_feeder", &feeder, &low_water)) return nullptr;
  Py_XSETREF(job_of(self)->feeder, feeder == Py_None ? nullptr : Py_NewRef(feeder));
  job_of(self)->low_water = low_water;
  Py_RETURN_NONE;
}

// _finish(): the callbacks have run.
// Only now the job is done: whoever waits for it sees what its callbacks have done.
PyObject* finish(PyObject* self, PyObject*) {
  Job* job = job_of(self);
  job->done = true;
  if (job->client != nullptr) notify(client_of(job->client));
  Py_CLEAR(job->pool);
  Py_CLEAR(job->future);
  Py_RETURN_NONE;
}

PyObject* get_error(PyObject* self, void*) {
  PyObject* error = job_of(self)->error;
  return Py_NewRef(error != nullptr ? error : Py_None);
}
PyObject* get_value(PyObject* self, void*) {
  PyObject* value = job_of(self)->value;
  return Py_NewRef(value != nullptr ? value : Py_None);
}
PyObject* get_pool(PyObject* self, void*) {
  PyObject* pool = job_of(self)->pool;
  return Py_NewRef(pool != nullptr ? pool : Py_None);
}
int set_pool(PyObject* self, PyObject* pool, void*) {
  Py_XSETREF(job_of(self)->pool, Py_XNewRef(pool));
  return 0;
}
PyObject* get_future(PyObject* self, void*) {
  PyObject* future = job_of(self)->future;
  return Py_NewRef(future != nullptr ? future : Py_None);
}
int set_future(PyObject* self, PyObject* future, void*) {
  Py_XSETREF(job_of(self)->future, Py_XNewRef(future));
  return 0;
}
PyObject* get_id(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(job_of(self)->id); }
PyObject* get_ahead(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(job_of(self)->total - job_of(self)->given);
}
// Tasks, in which results of several items come together, as the standard pool counts.
PyObject* get_number_left(PyObject* self, void*) {
  const Job* job = job_of(self);
  const std::uint32_t missing = job->total - job->received;
  const std::uint32_t chunk = job->chunk != 0 ? job->chunk : 1;
  return PyLong_FromUnsignedLong(missing / chunk + (missing % chunk != 0 ? 1 : 0));
}
PyObject* get_done(PyObject* self, void*) { return PyBool_FromLong(job_of(self)->done); }

PyObject* get_cancelled(PyObject* self, void*) { return PyBool_FromLong(job_of(self)->cancelled); }

PyMethodDef g_methods[] = {
    {"wait", as_function(wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, timeout=None)\n--\n\n"
     "Wait until the result is there, at most `timeout` seconds; ready() says whether it is.\n\n"
     "Raises:\n"
     "    TypeError, ValueError: timeout is no number of seconds."},
    {"get", as_function(get), METH_FASTCALL | METH_KEYWORDS,
     "get($self, timeout=None)\n--\n\n"
     "The result; it may be asked for again.\n\n"
     "Args:\n"
     "    timeout: How many seconds to wait at most; None: as long as it takes.\n"
     "Raises:\n"
     "    TimeoutError: It was not there in time; the call goes on. Also the end of a call whose\n"
     "        own time-out has passed, see apply_async().\n"
     "    Exception: What came instead of the result; see Pool.apply()."},
    {"ready", ready, METH_NOARGS, "ready($self, /)\n--\n\nWhether the result is there."},
    {"successful", successful, METH_NOARGS,
     "successful($self, /)\n--\n\n"
     "Whether it is no exception.\n\n"
     "Raises:\n"
     "    ValueError: It is not ready."},
    {"_next", as_function(next), METH_FASTCALL | METH_KEYWORDS,
     "_next($self, timeout=None)\n--\n\nThe next item of an iterator."},
    {"_prepare", prepare, METH_O, "_prepare($self, count, /)\n--\n\nA map's places."},
    {"_set_feeder", set_feeder, METH_VARARGS,
     "_set_feeder($self, feeder, low_water, /)\n--\n\nOf an iterator."},
    {"_finish", finish, METH_NOARGS, "_finish($self, /)\n--\n\nThe callbacks have run."},
    {"_cancel", cancel_job, METH_NOARGS,
     "_cancel($self, /)\n--\n\nOf an executor: whether no worker begins it any more."},
    {"_is_running", is_job_running, METH_NOARGS,
     "_is_running($self, /)\n--\n\nWhether a worker has begun it, and not handed it in."},
    {"_watch", watch_job, METH_NOARGS,
     "_watch($self, /)\n--\n\nIts future is completed by the thread that runs callbacks."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "For annotations: the type of the result."},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef g_attributes[] = {
    {"_error", get_error, nullptr, "The first exception, or None.", nullptr},
    {"_value", get_value, nullptr, "The value, or None.", nullptr},
    {"_pool", get_pool, set_pool, "The pool, which lives until the job is done; then None.",
     nullptr},
    {"_future", get_future, set_future, "The future of an executor's call, until it is done.",
     nullptr},
    {"_id", get_id, nullptr, "The job's number in its pool.", nullptr},
    {"_ahead", get_ahead, nullptr, "Items submitted that the iterator has not given.", nullptr},
    {"_number_left", get_number_left, nullptr,
     "About how many tasks have no result yet. Private, but widely used to show progress.",
     nullptr},
    {"_is_cancelled", get_cancelled, nullptr, "Whether it was cancelled before it began.", nullptr},
    {"_done", get_done, nullptr, "Whether it is done; looks at nothing else.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot g_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_job)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, g_methods},
    {Py_tp_getset, g_attributes},
    {Py_tp_doc, const_cast<char*>("Job(client, kind, wants_callback, /)\n--\n\nA job.")},
    {0, nullptr}};
PyType_Spec g_spec{"forkful._core.Job", sizeof(Job), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, g_slots};

// An iterator's tp_iternext would make every AsyncResult look like one, so it has a type of its
// own.
PyType_Slot g_iterator_slots[] = {
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(iternext)},
    {Py_tp_doc,
     const_cast<char*>("JobIterator(client, kind, wants_callback, /)\n--\n\nOf imap().")},
    {0, nullptr}};
PyType_Spec g_iterator_spec{"forkful._core.JobIterator", 0, 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, g_iterator_slots};

}  // namespace

PyTypeObject* job_type() { return g_job_type; }
PyObject* finished_state() { return g_finished; }
PyTypeObject* client_type() { return g_client_type; }

// The types live as long as the process: other files of the module ask for them.
bool add_jobs(PyObject* module, PyTypeObject* client_type) {
  g_client_type = client_type;
  g_finished = PyUnicode_InternFromString("FINISHED");
  if (g_finished == nullptr) return false;
  if (!add_type(module, g_spec, &g_job_type)) return false;
  Ref bases(PyTuple_Pack(1, g_job_type));
  PyObject* iterator = bases ? PyType_FromSpecWithBases(&g_iterator_spec, bases.get()) : nullptr;
  if (iterator == nullptr) return false;
  return PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(iterator)) == 0;
}

}  // namespace forkful::python
