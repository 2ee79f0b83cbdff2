// PoolClient: submitting tasks, and what its owner does when a worker ends.
#include "pool_client.hpp"

#include <algorithm>

#include "arguments.hpp"

namespace forkful::python {
namespace {

using bytes::Bytes;
using bytes::TaskHead;
using bytes::TaskPool;

// What to call, as its pickle. A plain function travels by name, so its pickle can be kept, and
// workers know it by a number; anything else may have changed since the last call.
struct Function {
  Ref pickled;
  Py_buffer view{};
  std::uint64_t id = 0;
  std::vector<bytes::Shared> shares;
  ~Function() {
    if (view.obj != nullptr) PyBuffer_Release(&view);
  }
};

bool is_plain(PyObject* function) {
  return PyFunction_Check(function) || PyCFunction_Check(function) || PyType_Check(function);
}

bool pickle_function(PoolClient* client, PyObject* function, Function& into) {
  if (function == client->last_function) {
    into.pickled = Ref::borrow(client->last_pickle);
    into.id = client->last_function_id;
    into.shares = client->last_shares;
  } else {
    into.pickled = pickle(function, into.shares);
    if (!into.pickled) return false;
    if (is_plain(function)) {
      into.id = ++client->next_function;
      Py_XSETREF(client->last_function, Py_NewRef(function));
      Py_XSETREF(client->last_pickle, Py_NewRef(into.pickled.get()));
      client->last_function_id = into.id;
      client->last_shares = into.shares;
    }
  }
  return PyObject_GetBuffer(into.pickled.get(), &into.view, PyBUF_SIMPLE) == 0;
}

// The items of one task, as bytes: simple values one behind the other, or one pickle.
class Items {
 public:
  bool encode(PyObject* const* items, std::uint32_t count) {
    if (count == 1) {
      if (!one_.encode(items[0])) return false;
      parts_ = one_.span();
      return true;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      switch (encode_simple(items[i], many_)) {
        case Encoded::yes:
          continue;
        case Encoded::failed:
          return false;
        case Encoded::no:
          return encode_list(items, count);
      }
    }
    all_ = many_.bytes();
    parts_ = std::span(&all_, 1);
    return true;
  }
  [[nodiscard]] std::span<const Bytes> parts() const { return parts_; }
  [[nodiscard]] bool is_list() const { return bool(list_); }
  [[nodiscard]] bytes::Shares shares() const { return is_list() ? shares_ : one_.shares(); }

  Items() = default;
  ~Items() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }
  Items(const Items&) = delete;
  Items& operator=(const Items&) = delete;

 private:
  // As one pickle, objects that several items share are sent once.
  bool encode_list(PyObject* const* items, std::uint32_t count) {
    Ref list(PyList_New(count));
    if (!list) return false;
    for (std::uint32_t i = 0; i < count; ++i) PyList_SET_ITEM(list.get(), i, Py_NewRef(items[i]));
    list_ = pickle(list.get(), shares_);
    if (!list_ || PyObject_GetBuffer(list_.get(), &view_, PyBUF_SIMPLE) != 0) return false;
    all_ = {static_cast<const std::byte*>(view_.buf), static_cast<std::size_t>(view_.len)};
    parts_ = std::span(&all_, 1);
    return true;
  }

  Parts one_;
  Buffer many_;
  Ref list_;
  std::vector<bytes::Shared> shares_;
  Py_buffer view_{};
  Bytes all_;
  std::span<const Bytes> parts_;
};

// The items [first, first + count) of a job get the exception that is set.
void fail_items(PoolClient* client, Job* job, std::uint32_t first, std::uint32_t count) {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != nullptr) PyException_SetTraceback(value, trace);
  for (std::uint32_t i = 0; i < count; ++i) deliver(client, job, first + i, false, value);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
}

void submit_chunk(PoolClient* client, Job* job, const Function& function, TaskMode mode,
                  PyObject* const* items, std::uint32_t first, std::uint32_t count) {
  Items encoded;
  if (!encoded.encode(items, count)) {
    // As with the standard pool, what cannot be pickled is its own job's failure.
    fail_items(client, job, first, count);
    return;
  }
  const TaskForm form{static_cast<std::uint32_t>(function.view.len),
                      static_cast<std::uint32_t>(mode) | (encoded.is_list() ? kList : 0)};
  Bytes parts[4] = {std::as_bytes(std::span(&form, 1)),
                    {static_cast<const std::byte*>(function.view.buf),
                     static_cast<std::size_t>(function.view.len)}};
  std::copy(encoded.parts().begin(), encoded.parts().end(), parts + 2);
  try {
    std::vector<bytes::Shared> shares(function.shares);
    shares.insert(shares.end(), encoded.shares().begin(), encoded.shares().end());
    client->pool.submit({job->id, first, count, 0, 0, function.id},
                        std::span(parts, 2 + encoded.parts().size()), shares);
  } catch (...) {
    raise_current();
    fail_items(client, job, first, count);
  }
}

void enter(PoolClient* client, Job* job) {
  if (job->id != 0) return;
  job->id = ++client->next_job;
  client->jobs.emplace(job->id, Py_NewRef(reinterpret_cast<PyObject*>(job)));
  if (client->local_waiters > 0) notify(client);
}

// Whether fail_all() has ended a job, whose input may still be drawn.
bool has_ended(const PoolClient* client, const Job* job) {
  return job->id != 0 && !client->jobs.contains(job->id);
}

// submit(job, function, items, chunksize, mode, last): more items of a job; `items` is a list.
PyObject* submit(PyObject* self, PyObject* args) {
  PyObject* job_object = nullptr;
  PyObject* function_object = nullptr;
  PyObject* items = nullptr;
  Py_ssize_t chunk = 1;
  unsigned int mode = 0;
  int last = 1;
  if (!PyArg_ParseTuple(args, "O!OO!nIp:submit", job_type(), &job_object, &function_object,
                        &PyList_Type, &items, &chunk, &mode, &last)) {
    return nullptr;
  }
  PoolClient* client = client_of(self);
  Job* job = job_of(job_object);
  return guarded([&]() -> PyObject* {
    if (has_ended(client, job)) Py_RETURN_NONE;
    const auto count = static_cast<std::uint32_t>(PyList_GET_SIZE(items));
    const std::uint32_t first = job->total;
    job->total += count;
    job->have.resize(job->total);
    enter(client, job);
    Function function;
    if (count > 0 && !pickle_function(client, function_object, function)) {
      fail_items(client, job, first, count);
    } else {
      const auto step = static_cast<std::uint32_t>(std::clamp<Py_ssize_t>(chunk, 1, 1 << 23));
      // Pickling runs code that may change the list: its items are looked up one chunk at a time.
      for (std::uint32_t i = 0; i < count && i < PyList_GET_SIZE(items); i += step) {
        const std::uint32_t size = std::min(step, count - i);
        submit_chunk(client, job, function, static_cast<TaskMode>(mode), &PyList_GET_ITEM(items, i),
                     first + i, size);
      }
    }
    job->all_submitted = job->all_submitted || last != 0;
    settle(client, job);
    Py_RETURN_NONE;
  });
}

// call(job, function, args, kwargs): the one task of a call.
PyObject* call(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 4 || !PyObject_TypeCheck(args[0], job_type())) {
    PyErr_SetString(PyExc_TypeError, "call(job, function, args, kwargs)");
    return nullptr;
  }
  PoolClient* client = client_of(self);
  Job* job = job_of(args[0]);
  return guarded([&]() -> PyObject* {
    Ref item;
    auto mode = TaskMode::call;
    if (PyDict_Check(args[3]) && PyDict_GET_SIZE(args[3]) == 0) {
      item = Ref(PySequence_Tuple(args[2]));
    } else {
      mode = TaskMode::call_named;
      Ref positional(PySequence_Tuple(args[2]));
      Ref named(PyDict_New());
      if (!positional || !named || PyDict_Update(named.get(), args[3]) != 0) return nullptr;
      item = Ref(PyTuple_Pack(2, positional.get(), named.get()));
    }
    if (!item) return nullptr;
    job->total = 1;
    job->have.resize(1);
    job->all_submitted = true;
    enter(client, job);
    Function function;
    if (!pickle_function(client, args[1], function)) {
      fail_items(client, job, 0, 1);
    } else {
      PyObject* one = item.get();
      submit_chunk(client, job, function, mode, &one, 0, 1);
    }
    Py_RETURN_NONE;
  });
}

// end_input(job, error=None): an imap's input has ended, or raised `error`.
PyObject* end_input(PyObject* self, PyObject* args) {
  PyObject* job_object = nullptr;
  PyObject* error = Py_None;
  if (!PyArg_ParseTuple(args, "O!|O:end_input", job_type(), &job_object, &error)) return nullptr;
  PoolClient* client = client_of(self);
  Job* job = job_of(job_object);
  return guarded([&]() -> PyObject* {
    if (has_ended(client, job)) Py_RETURN_NONE;
    enter(client, job);
    if (error != Py_None) {
      job->total += 1;
      job->have.resize(job->total);
    }
    job->all_submitted = true;
    if (error != Py_None) deliver(client, job, job->total - 1, false, error);
    settle(client, job);
    if (client->local_waiters > 0) notify(client);
    Py_RETURN_NONE;
  });
}

// Fails the item that a worker was running. 1: so; 0: it has a result; -1: an exception is set.
int fail_lost(PoolClient* client, const TaskPool::Lost& lost, PyObject* make_error) {
  const auto found = client->jobs.find(lost.task.job);
  if (found == client->jobs.end()) return 0;
  Ref keep = Ref::borrow(found->second);
  Job* job = job_of(keep.get());
  const std::uint32_t item = lost.task.first + lost.task.start + lost.done;
  if (item >= job->total || job->have[item]) return 0;
  Ref error(
      PyObject_CallFunction(make_error, "IK", item, static_cast<unsigned long long>(job->id)));
  if (!error) return -1;
  deliver(client, job, item, false, error.get());
  return 1;
}

// worker_ended(index, make_error) -> whether an item was lost. Call when its process has ended.
// make_error(item, job) gives the lost item's exception.
PyObject* worker_ended(PyObject* self, PyObject* args) {
  unsigned int index = 0;
  PyObject* make_error = nullptr;
  if (!PyArg_ParseTuple(args, "IO:worker_ended", &index, &make_error)) return nullptr;
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    // What it had handed in comes first: only what is missing then was lost.
    client->pool.finish_commits();
    const bool had_baton = client->baton;
    client->baton = false;
    const bool collected = collect_ready(client);
    client->baton = had_baton;
    if (!collected) return nullptr;
    TaskPool::Lost lost;
    client->pool.recover(index, lost);
    if (!lost.claimed) Py_RETURN_FALSE;
    const bool interrupted = lost.done > 0 && !receive(client, lost.results);
    // An interrupt waits for the lost item, or nobody would ever fail it.
    PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
    if (interrupted) PyErr_Fetch(&type, &value, &trace);
    const int failed = lost.running ? fail_lost(client, lost, make_error) : 0;
    if (interrupted && failed >= 0) PyErr_Restore(type, value, trace);
    return interrupted || failed < 0 ? nullptr : PyBool_FromLong(failed);
  });
}

// fail_all(error): every unfinished job ends with `error` (the pool is terminated or broken).
PyObject* fail_all(PyObject* self, PyObject* error) {
  PoolClient* client = client_of(self);
  std::vector<Ref> jobs;
  jobs.reserve(client->jobs.size());
  for (const auto& [id, job] : client->jobs) jobs.push_back(Ref::borrow(job));
  for (const Ref& each : jobs) {
    Job* job = job_of(each.get());
    if (!job->all_submitted) {
      // An iterator must not look complete: the rest of its input is one more item.
      job->total += 1;
      job->have.resize(job->total);
      job->all_submitted = true;
    }
    for (std::uint32_t i = 0; i < job->total; ++i) deliver(client, job, i, false, error);
    settle(client, job);
  }
  Py_RETURN_NONE;
}

PyObject* collect(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    if (!collect_ready(client_of(self))) return nullptr;
    Py_RETURN_NONE;
  });
}

PyObject* unfinished(PyObject* self, PyObject*) {
  const PoolClient* client = client_of(self);
  return PyLong_FromSize_t(client->jobs.size() + client->finished.size());
}

// take_finished() -> list of jobs whose callbacks the caller runs, which then calls job._finish()
// on each; waits for one. None after stop_callbacks().
PyObject* take_finished(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    const int how = await_finished(client);
    if (how < 0) return nullptr;
    if (how == 0) Py_RETURN_NONE;
    Ref list(PyList_New(0));
    while (list && !client->finished.empty()) {
      Ref job(client->finished.front());
      client->finished.pop_front();
      if (PyList_Append(list.get(), job.get()) != 0) return nullptr;
    }
    return list.release();
  });
}

PyObject* stop_callbacks(PyObject* self, PyObject*) {
  client_of(self)->callbacks_stopped = true;
  notify(client_of(self));
  Py_RETURN_NONE;
}

// wait(timeout) -> whether every job is done.
PyObject* wait(PyObject* self, PyObject* timeout) {
  Deadline deadline;
  if (!to_deadline(Py_True, timeout, deadline)) return nullptr;
  return guarded([&]() -> PyObject* {
    const int how = collect_until(client_of(self), nullptr, false, deadline);
    return how < 0 ? nullptr : PyBool_FromLong(how);
  });
}

PyObject* close(PyObject* self, PyObject*) {
  client_of(self)->pool.close();
  Py_RETURN_NONE;
}
PyObject* stop(PyObject* self, PyObject*) {
  client_of(self)->pool.stop();
  Py_RETURN_NONE;
}
PyObject* clear_worker(PyObject* self, PyObject* index) {
  const unsigned long slot = PyLong_AsUnsignedLong(index);
  if (PyErr_Occurred()) return nullptr;
  return guarded([&]() -> PyObject* {
    client_of(self)->pool.clear_worker(static_cast<std::uint32_t>(slot));
    Py_RETURN_NONE;
  });
}
PyObject* was_ready(PyObject* self, PyObject* index) {
  const unsigned long slot = PyLong_AsUnsignedLong(index);
  if (PyErr_Occurred()) return nullptr;
  return guarded([&] {
    const auto view = client_of(self)->pool.view(static_cast<std::uint32_t>(slot));
    return PyBool_FromLong(view.state != TaskPool::WorkerState::none);
  });
}

// PoolClient(most_workers, maintain, decode_error)
PyObject* new_client(PyTypeObject* type, PyObject* args, PyObject*) {
  unsigned int workers = 0;
  PyObject* maintain = nullptr;
  PyObject* decode_error = nullptr;
  if (!PyArg_ParseTuple(args, "IOO:PoolClient", &workers, &maintain, &decode_error)) return nullptr;
  return guarded([&]() -> PyObject* {
    TaskPool pool = TaskPool::create(workers);
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    PoolClient* client = client_of(self);
    new (&client->pool) TaskPool(std::move(pool));
    new (&client->jobs) decltype(client->jobs)();
    new (&client->finished) decltype(client->finished)();
    new (&client->last_shares) decltype(client->last_shares)();
    client->local = new PoolClient::Local();
    client->maintain = Py_NewRef(maintain);
    client->decode_error = Py_NewRef(decode_error);
    return self;
  });
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  PoolClient* client = client_of(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(client->maintain);
  Py_VISIT(client->decode_error);
  Py_VISIT(client->last_function);
  for (const auto& [id, job] : client->jobs) Py_VISIT(job);
  for (PyObject* job : client->finished) Py_VISIT(job);
  return 0;
}

int clear(PyObject* self) {
  PoolClient* client = client_of(self);
  Py_CLEAR(client->maintain);
  Py_CLEAR(client->decode_error);
  Py_CLEAR(client->last_function);
  auto jobs = std::move(client->jobs);
  client->jobs.clear();
  for (const auto& [id, job] : jobs) Py_DECREF(job);
  auto finished = std::move(client->finished);
  client->finished.clear();
  for (PyObject* job : finished) Py_DECREF(job);
  return 0;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear(self);
  PoolClient* client = client_of(self);
  Py_CLEAR(client->last_pickle);
  client->jobs.~unordered_map();
  client->finished.~deque();
  client->last_shares.~vector();
  client->pool.~TaskPool();
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef g_methods[] = {
    {"submit", submit, METH_VARARGS, "submit(job, function, items, chunksize, mode, last)"},
    {"call", as_function(call), METH_FASTCALL, "call(job, function, args, kwargs)"},
    {"end_input", end_input, METH_VARARGS, "end_input(job, error=None)"},
    {"worker_ended", worker_ended, METH_VARARGS,
     "worker_ended(index, make_error) -> an item was lost"},
    {"fail_all", fail_all, METH_O, "fail_all(error)"},
    {"collect", collect, METH_NOARGS, "Collect what is there, without waiting."},
    {"wait", wait, METH_O, "wait(timeout) -> whether every job is done."},
    {"stop_callbacks", stop_callbacks, METH_NOARGS, "take_finished() returns None from now on."},
    {"unfinished", unfinished, METH_NOARGS, "The number of jobs that are not done."},
    {"take_finished", take_finished, METH_NOARGS, "Wait for jobs whose callbacks are due."},
    {"close", close, METH_NOARGS, "Workers leave when no task is waiting."},
    {"stop", stop, METH_NOARGS, "Workers leave before their next task."},
    {"clear_worker", clear_worker, METH_O, "clear_worker(index): for the slot's next user."},
    {"was_ready", was_ready, METH_O,
     "was_ready(index): whether the slot's worker got to its tasks."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot g_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_client)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, g_methods},
    {Py_tp_doc, const_cast<char*>("PoolClient(most_workers, maintain, decode_error)")},
    {0, nullptr}};
PyType_Spec g_spec{"forkful._core.PoolClient", sizeof(PoolClient), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, g_slots};

}  // namespace

bool add_pool_client(PyObject* module) {
  PyTypeObject* type = nullptr;
  return add_type(module, g_spec, &type) && add_jobs(module, type);
}

}  // namespace forkful::python
