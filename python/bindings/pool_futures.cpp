// What a ProcessPoolExecutor asks of its pool beside what a Pool does: its calls have futures, can
// be cancelled, and break with the first worker that dies.
//
// A future that nobody but its caller has looked at is completed by whoever collects its result.
// Once somebody waits for it by other means (watch()), the executor's thread does that, which runs
// callbacks as well: it holds no lock of the pool's then, and takes no signals.
//
// GIL: guards all of it, as everywhere in the client.
#include "pool_client.hpp"

namespace forkful::python {
namespace {

// Sleeps until no other thread has the baton. False with an exception set.
bool await_baton(PoolClient* client) {
  bool good = true;
  ++client->cancellers;
  while (good && collects_elsewhere(client)) {
    wait_a_moment(client, bytes::PoolOwner::kLookEvery);
    good = PyErr_CheckSignals() == 0;
  }
  --client->cancellers;
  client->cancels = true;
  return good;
}

// The job ends as cancelled. Its tasks stay in the ring until workers have refused each of them.
void drop(PoolClient* client, Job* job) {
  const Ref held = take_out(client, job);
  job->cancelled = true;
  job->done = true;
  notify(client);
  Py_CLEAR(job->pool);
  Py_CLEAR(job->future);
}

// Whether a worker has claimed the call, or has handed it in. -1: an exception is set.
int is_begun(PoolClient* client, Job* job) FORKFUL_REQUIRES(client->collecting) {
  bool claimed = false;
  Py_BEGIN_ALLOW_THREADS;  // a stopped worker may have the lock
  claimed = client->pool().is_claimed(job->id);
  Py_END_ALLOW_THREADS;
  if (claimed) return 1;
  // Its result may be in the ring already.
  if (!collect_ready(client)) return -1;
  return has_ended(job) ? 1 : 0;
}

}  // namespace

bool admit(PoolClient* client) {
  if (!is_ours(client)) {
    PyErr_SetString(PyExc_RuntimeError,
                    "cannot schedule new futures: another process has begun to use this executor; "
                    "make a new one here");
    return false;
  }
  if (client->owner->phase() != bytes::PoolOwner::Phase::open && client->broken == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "cannot schedule new futures after shutdown");
    return false;
  }
  if (client->jobs.empty() && client->owner->is_time_to_look() &&
      !collects_elsewhere(client)) {
    const Baton baton(client);
    if (!look_after_workers(client)) return false;
  }
  if (client->broken == nullptr) return true;
  give_back_error(Ref::borrow(client->broken));
  return false;
}

void break_pool(PoolClient* client, Ref error) {
  client->owner->start_no_more();
  Py_XSETREF(client->broken, Py_NewRef(error.get()));
  fail_all(client, error.get());
  if (client->executor) wake(client);
}

void wake(PoolClient* client) {
  if (!is_ours(client)) return;
  client->woken = true;
  rouse_callbacks(client);
}

void note_gone(PoolClient* client, std::uint64_t job, std::uint32_t items) {
  const auto found = client->cancelled.find(job);
  if (found == client->cancelled.end()) return;
  if (items < found->second) {
    found->second -= items;
    return;
  }
  client->cancelled.erase(found);
  client->cancellations->remove(job);
}

// _cancel() of a job: of a call that a worker has begun, False. Of a map, what is begun runs on, and the
// rest is not begun any more.
PyObject* cancel_job(PyObject* self, PyObject*) {
  Job* job = job_of(self);
  PoolClient* client = client_of(job->client);
  return guarded([&]() -> PyObject* {
    if (!is_ours(client) || !client->executor) Py_RETURN_FALSE;
    const bool is_call = job->kind == JobKind::call;
    if (is_call && job->open && !await_baton(client)) return nullptr;
    if (!job->open) return PyBool_FromLong(job->cancelled);
    const std::uint64_t id = job->id;
    const std::uint32_t missing = job->total - job->received;
    if (missing == 0 || job->handed_in || !client->cancellations->enter(id)) {
      if (is_call) Py_RETURN_FALSE;
      drop(client, job);  // what comes of it, nobody wants
      Py_RETURN_TRUE;
    }
    // Entered first and then looked: see cancellations.hpp.
    if (is_call) {
      const Baton baton(client);
      if (const int begun = is_begun(client, job); begun != 0) {
        client->cancellations->remove(id);
        return begun < 0 ? nullptr : PyBool_FromLong(job->cancelled);
      }
    }
    client->cancelled.emplace(id, missing);
    drop(client, job);
    Py_RETURN_TRUE;
  });
}

// cancel_waiting(error): takes all tasks back that no worker has claimed. Returns the calls among
// them; the items of a map fail with `error`.
PyObject* cancel_waiting(PyObject* self, PyObject* error) {
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    Ref calls(PyList_New(0));
    if (!calls || !is_ours(client)) return calls.release();
    if (!await_baton(client)) return nullptr;
    const Baton baton(client);
    bytes::TaskHead task{};
    const auto take_back = [&] {
      bool taken = false;
      Py_BEGIN_ALLOW_THREADS;
      taken = client->pool().take_back(task);
      Py_END_ALLOW_THREADS;
      return taken;
    };
    while (take_back()) {
      const auto found = client->jobs.find(task.job);
      if (found == client->jobs.end()) {
        note_gone(client, task.job, task.count - task.start);
        continue;
      }
      const Ref held = Ref::borrow(found->second);
      Job* job = job_of(held.get());
      if (job->kind == JobKind::call) {
        Ref future = Ref::borrow(job->future != nullptr ? job->future : Py_None);
        drop(client, job);
        if (PyList_Append(calls.get(), future.get()) != 0) return nullptr;
        continue;
      }
      for (std::uint32_t i = task.start; i < task.count; ++i) {
        deliver(client, job, task.first + i, false, error);
      }
    }
    return calls.release();
  });
}

PyObject* is_job_running(PyObject* self, PyObject*) {
  const Job* job = job_of(self);
  PoolClient* client = client_of(job->client);
  return guarded([&]() -> PyObject* {
    if (!job->open || !is_ours(client)) Py_RETURN_FALSE;
    bool claimed = false;
    Py_BEGIN_ALLOW_THREADS;
    claimed = client->pool().is_claimed(job->id);
    Py_END_ALLOW_THREADS;
    return PyBool_FromLong(claimed);
  });
}

// _watch() of a job: from now on its future has locks and callbacks, which are for their own thread.
PyObject* watch_job(PyObject* self, PyObject*) {
  Job* job = job_of(self);
  PoolClient* client = client_of(job->client);
  if (!has_ended(job)) {
    job->wants_callback = true;
    if (job->open && !job->urgent) {
      job->urgent = true;
      ++client->urgent;
      if (is_ours(client)) rouse(client);
    }
  }
  Py_RETURN_NONE;
}

// serve(): the life of the thread that runs an executor's callbacks, until somebody wakes it.
PyObject* serve(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  client->callback_thread = PyThread_get_thread_ident();
  return guarded([&]() -> PyObject* {
    for (;;) {
      run_callbacks(client);
      if (std::exchange(client->woken, false) || client->callbacks_stopped) Py_RETURN_NONE;
      await_due(client);
    }
  });
}

PyObject* wake_up(PyObject* self, PyObject*) {
  wake(client_of(self));
  Py_RETURN_NONE;
}

// finish(): as join() begins.
PyObject* finish_jobs(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    if (collect_until(client, nullptr, Until::all_done, Deadline::never()) < 0) return nullptr;
    Py_RETURN_NONE;
  });
}

PyObject* break_with(PyObject* self, PyObject* error) {
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    if (client->broken == nullptr && is_ours(client)) break_pool(client, Ref::borrow(error));
    Py_RETURN_NONE;
  });
}

PyObject* want(PyObject* self, PyObject* count) {
  const unsigned long number = PyLong_AsUnsignedLong(count);
  if (PyErr_Occurred() != nullptr) return nullptr;
  client_of(self)->owner->want(static_cast<std::uint32_t>(number));
  Py_RETURN_NONE;
}

PyObject* look(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    if (is_ours(client) && client->ending_thread == 0 && !collects_elsewhere(client)) {
      const Baton baton(client);
      if (!look_after_workers(client)) return nullptr;
    }
    Py_RETURN_NONE;
  });
}

PyObject* unfinished_jobs(PyObject* self, PyObject*) {
  const PoolClient* client = client_of(self);
  Ref list(PyList_New(0));
  if (!list) return nullptr;
  for (const auto& [id, job] : client->jobs) {
    if (PyList_Append(list.get(), job) != 0) return nullptr;
  }
  return list.release();
}

}  // namespace forkful::python
