// PoolClient as a Python type: its life, and its table of methods, whose bodies are elsewhere
// (pool_submit.cpp, pool_collect.cpp, pool_end.cpp, pool_attendant.cpp).
//
// Python's Pool (python/forkful/pool.py) has the only one of its pool, and gives its workers a
// handle. Jobs refer to it, and it to them while they are unfinished; the garbage collector
// knows both ways.
//
// GIL:  guards all of it. It is given away in the middle of methods; see pool_client.hpp.
// Fork: a child has a copy, in which is_ours() is false.
#include "pool_client.hpp"

namespace forkful::python {
namespace {

PyObject* collect(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    if (!collect_ready(client_of(self))) return nullptr;
    Py_RETURN_NONE;
  });
}

// Also those whose callbacks are still to run: their callers do not have them yet.
PyObject* unfinished(PyObject* self, PyObject*) {
  const PoolClient* client = client_of(self);
  return PyLong_FromSize_t(client->jobs.size() + client->finished.size());
}

// start(): the workers that are missing. Raises what keeps them from starting, each time anew.
PyObject* start(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    if (!start_missing_workers(client)) return nullptr;
    if (client->broken == nullptr) Py_RETURN_NONE;
    give_back_error(Ref::borrow(client->broken));
    return nullptr;
  });
}

PyObject* get_broken(PyObject* self, void*) {
  PyObject* broken = client_of(self)->broken;
  return Py_NewRef(broken != nullptr ? broken : Py_None);
}

PyObject* get_usable(PyObject* self, void*) {
  const PoolClient* client = client_of(self);
  return PyBool_FromLong(client->broken == nullptr && is_ours(client));
}

PyObject* get_handle(PyObject* self, void*) {
  return guarded([&] { return new_handle(client_of(self)); });
}

// Set by Workers.start(), which knows how a worker is started.
int set_main_by_value(PyObject* self, PyObject* value, void*) {
  const int wanted = value != nullptr ? PyObject_IsTrue(value) : 0;
  if (wanted < 0) return -1;
  client_of(self)->main_by_value = wanted != 0;
  return 0;
}

PyObject* get_main_by_value(PyObject* self, void*) {
  return PyBool_FromLong(client_of(self)->main_by_value);
}

PyObject* get_ours(PyObject* self, void*) { return PyBool_FromLong(is_ours(client_of(self))); }

PyObject* get_results(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(client_of(self)->results);
}

PyObject* get_waiting_tasks(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(client_of(self)->pool().waiting_tasks());
}

// PoolClient(processes, workers, decode_error, executor=False, one_death_ends=False)
PyObject* new_client(PyTypeObject* type, PyObject* args, PyObject*) {
  unsigned int processes = 0;
  PyObject* workers = nullptr;
  PyObject* decode_error = nullptr;
  int executor = 0;
  int one_death_ends = 0;
  if (!PyArg_ParseTuple(args, "IOO|pp:PoolClient", &processes, &workers, &decode_error, &executor,
                        &one_death_ends)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    Ref self(type->tp_alloc(type, 0));
    if (!self) return nullptr;
    // tp_alloc() has zeroed the rest. Where something below throws, dealloc() runs with what there
    // is then: null pointers, and members of C++ that are made before anything else.
    PoolClient* client = client_of(self.get());
    new (&client->jobs) decltype(client->jobs)();
    new (&client->finished) decltype(client->finished)();
    new (&client->interrupted) decltype(client->interrupted)();
    new (&client->last_shares) decltype(client->last_shares)();
    new (&client->cancellations) decltype(client->cancellations)();
    new (&client->cancelled) decltype(client->cancelled)();
    client->local = new PoolClient::Local();
    client->hooks = new Workers(client);
    client->workers = Py_NewRef(workers);
    client->decode_error = Py_NewRef(decode_error);
    // The standard Pool terminates its workers without a grace.
    client->owner = new bytes::PoolOwner(processes, std::chrono::milliseconds(0), *client->hooks);
    if (one_death_ends != 0) client->owner->end_with_a_worker();
    if (executor != 0) {
      client->executor = true;
      client->has_callback_thread = true;  // Python starts it
      client->cancellations = bytes::Cancellations::create();
    }
    return self.release();
  });
}

// The collector may ask at any allocation, also before new_client() has come to its end. Not
// last_pickle, which is bytes and refers to nothing.
int traverse(PyObject* self, visitproc visit, void* arg) {
  PoolClient* client = client_of(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(client->workers);
  Py_VISIT(client->broken);
  Py_VISIT(client->ended);
  Py_VISIT(client->decode_error);
  Py_VISIT(client->last_function);
  for (const auto& [id, job] : client->jobs) Py_VISIT(job);
  for (PyObject* job : client->finished) Py_VISIT(job);
  return client->hooks != nullptr ? client->hooks->traverse(visit, arg) : 0;
}

int clear(PyObject* self) {
  PoolClient* client = client_of(self);
  Py_CLEAR(client->workers);
  Py_CLEAR(client->broken);
  Py_CLEAR(client->ended);
  Py_CLEAR(client->decode_error);
  Py_CLEAR(client->last_function);
  if (client->hooks != nullptr) client->hooks->drop_errors();
  // Out of the client first: the end of a job may run code, which finds a client without jobs. Here
  // they end without a result, for nobody is left who could ask for one.
  auto jobs = std::move(client->jobs);
  client->jobs.clear();
  for (const auto& [id, job] : jobs) {
    job_of(job)->open = false;
    Py_DECREF(job);
  }
  auto finished = std::move(client->finished);
  client->finished.clear();
  for (PyObject* job : finished) Py_DECREF(job);
  return 0;
}

// The owner before its hooks, whom it calls. `local` stays: see PoolClient.
void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear(self);
  PoolClient* client = client_of(self);
  Py_CLEAR(client->last_pickle);
  client->jobs.~unordered_map();
  client->finished.~deque();
  client->interrupted.~deque();
  client->last_shares.~vector();
  client->cancellations.~optional();
  client->cancelled.~unordered_map();
  delete client->owner;
  delete client->hooks;
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef g_methods[] = {
    {"submit", submit, METH_VARARGS,
     "submit($self, job, function, items, chunksize, mode, last, /)\n--\n\nItems of a job."},
    {"call", as_function(call), METH_FASTCALL,
     "call($self, job, function, args, kwargs, timeout=None, /)\n--\n\nThe task of a call."},
    {"end_input", end_input, METH_VARARGS,
     "end_input($self, job, error=None, /)\n--\n\nNo more items of an imap."},
    {"start", start, METH_NOARGS, "start($self, /)\n--\n\nStart the workers that are missing."},
    {"collect", collect, METH_NOARGS,
     "collect($self, /)\n--\n\nCollect what is there, without waiting."},
    {"unfinished", unfinished, METH_NOARGS,
     "unfinished($self, /)\n--\n\nThe number of jobs that are not done."},
    {"close", close, METH_NOARGS,
     "close($self, /)\n--\n\nNo more jobs: workers are replaced only where tasks wait."},
    {"join", join, METH_NOARGS,
     "join($self, /)\n--\n\nWait until a closed or terminated pool is over."},
    {"terminate", terminate, METH_VARARGS,
     "terminate($self, error, exiting, /)\n--\n\nEnd the workers; what is left fails."},
    {"attend", attend, METH_NOARGS, "attend($self, /)\n--\n\nThe attendant's life."},
    {"call_back", call_back, METH_NOARGS,
     "call_back($self, /)\n--\n\nThe life of the thread that runs callbacks."},
    {"cancel_waiting", cancel_waiting, METH_O,
     "cancel_waiting($self, error, /)\n--\n\nCancel what no worker has begun; the calls of it."},
    {"serve", serve, METH_NOARGS, "serve($self, /)\n--\n\nRun callbacks until wake() is called."},
    {"wake", wake_up, METH_NOARGS, "wake($self, /)\n--\n\nserve() returns."},
    {"finish", finish_jobs, METH_NOARGS,
     "finish($self, /)\n--\n\nWait until every job is done, and run their callbacks."},
    {"break_with", break_with, METH_O,
     "break_with($self, error, /)\n--\n\nStart no more workers; every job fails."},
    {"want", want, METH_O,
     "want($self, count, /)\n--\n\nSo many workers, of those that there may be."},
    {"look", look, METH_NOARGS,
     "look($self, /)\n--\n\nLook whether workers have ended, where nobody else does."},
    {"unfinished_jobs", unfinished_jobs, METH_NOARGS,
     "unfinished_jobs($self, /)\n--\n\nThe jobs that have no result yet."},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef g_attributes[] = {
    {"broken", get_broken, nullptr, "Why no worker is started any more, or None.", nullptr},
    {"results", get_results, nullptr, "The number of tasks whose results have come.", nullptr},
    {"waiting_tasks", get_waiting_tasks, nullptr, "The tasks that no worker has claimed.", nullptr},
    {"handle", get_handle, nullptr, "The pool as its workers know it; a PoolHandle.", nullptr},
    {"main_by_value", get_main_by_value, set_main_by_value,
     "Whether what the main module defines is sent by value.", nullptr},
    {"is_ours", get_ours, nullptr, "Whether this process made it: a forked child has a copy.",
     nullptr},
    {"is_usable", get_usable, nullptr, "Whether it is this process's, and not broken.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot g_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_client)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, g_methods},
    {Py_tp_getset, g_attributes},
    {Py_tp_doc, const_cast<char*>("PoolClient(processes, workers, decode_error, executor=False, "
                                  "one_death_ends=False, /)\n--\n\nA pool.")},
    {0, nullptr}};
PyType_Spec g_spec{"forkful._core.PoolClient", sizeof(PoolClient), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, g_slots};

}  // namespace

bool add_pool_client(PyObject* module) {
  const struct {
    const char* name;
    int value;
  } constants[] = {
      {"MAP", static_cast<int>(TaskMode::map)},
      {"STAR", static_cast<int>(TaskMode::star)},
      {"CALL", static_cast<int>(JobKind::call)},
      {"LIST", static_cast<int>(JobKind::map)},
      {"ORDERED", static_cast<int>(JobKind::ordered)},
      {"UNORDERED", static_cast<int>(JobKind::unordered)},
      {"MOST_ITEMS", kMostItems},
  };
  for (const auto& each : constants) {
    if (PyModule_AddIntConstant(module, each.name, each.value) != 0) return false;
  }
  PyTypeObject* type = nullptr;
  return add_pool_handle(module) && add_type(module, g_spec, &type) && add_jobs(module, type);
}

}  // namespace forkful::python
