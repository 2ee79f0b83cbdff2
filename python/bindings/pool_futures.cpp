// What a ProcessPoolExecutor asks of its pool beside what a Pool does: its calls have futures, can
// be cancelled, and break with the first worker that dies.
//
// A future that nobody but its caller has looked at is completed by whoever collects its result.
// Once somebody waits for it by other means (watch()), the executor's thread does that, which runs
// callbacks as well: it holds no lock of the pool's then, and takes no signals.
//
// GIL: guards all of it, as everywhere in the client.
#include <algorithm>

#include "pool_client.hpp"

namespace forkful::python {
namespace {

// Sleeps until no other thread has the baton. False with an exception set.
bool await_baton(PoolClient* client) {
  bool good = true;
  while (good && collects_elsewhere(client)) {
    ++client->cancellers;
    wait_a_moment(client, bytes::PoolOwner::kLookEvery);
    --client->cancellers;
    good = PyErr_CheckSignals() == 0;  // a handler may wait for what others collect
  }
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

bool is_claimed(PoolClient* client, const Job* job) {
  bool claimed = false;
  Py_BEGIN_ALLOW_THREADS;  // a stopped worker may have the lock
  claimed = client->pool().is_claimed(job->id);
  Py_END_ALLOW_THREADS;
  return claimed;
}

// Of a call that was asked for: whether no worker has begun it, and none will. -1: an exception is
// set. Where it is not 1, nothing is asked for any more.
int cancel_asked(PoolClient* client, Job* job, const bytes::Cancellations& list)
    FORKFUL_REQUIRES(client->collecting) {
  const std::uint64_t id = job->id;
  // First at the workers and then for results, one of which may be in the ring already.
  const bool claimed = is_claimed(client, job);
  const bool good = claimed || collect_ready(client);
  if (!claimed && good && !has_ended(job)) return list.cancel(id) ? 1 : 0;
  list.remove(id);
  return good ? 0 : -1;
}

// Gives a future its result where nobody else has looked at it, so that no lock and no callback is
// concerned. No code of Python's runs meanwhile, in which a signal's handler might.
bool complete_unwatched(Job* job) {
  PyObject* value = job->value != nullptr ? job->value : Py_None;
  if (PyObject_SetAttrString(job->future, "_result", value) == 0 &&
      PyObject_SetAttrString(job->future, "_state", finished_state()) == 0) {
    return true;
  }
  PyErr_Clear();
  return false;
}

// The unfinished jobs, the oldest first, without those that workers have begun or are about to.
std::vector<Ref> waiting_jobs(const PoolClient* client) {
  std::vector<Job*> jobs;
  jobs.reserve(client->jobs.size());
  for (const auto& [id, object] : client->jobs) {
    if (!job_of(object)->handed_in) jobs.push_back(job_of(object));
  }
  std::sort(jobs.begin(), jobs.end(), [](const Job* a, const Job* b) { return a->id < b->id; });
  std::vector<Ref> waiting;
  std::uint32_t workers = client->owner->active();
  for (Job* job : jobs) {
    const std::uint32_t chunk = job->chunk != 0 ? job->chunk : 1;
    const std::uint32_t tasks = (job->total - job->received + chunk - 1) / chunk;
    if (tasks > workers) waiting.push_back(Ref::borrow(reinterpret_cast<PyObject*>(job)));
    workers -= std::min(tasks, workers);
  }
  return waiting;
}

}  // namespace

bool is_for_callbacks(const PoolClient* client, Job* job) {
  if (client->callbacks_stopped) return false;
  if (job->wants_callback || job->future == nullptr) return job->wants_callback;
  return job->error != nullptr || !complete_unwatched(job);
}

Ref note_unread(PoolClient* client, Ref error) {
  Ref instead(PyObject_CallMethod(client->workers, "note_unread", "OO",
                                  reinterpret_cast<PyObject*>(client), error.get()));
  if (instead) return instead;
  PyErr_WriteUnraisable(client->workers);
  return error;
}

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
  if (client->jobs.empty() && client->owner->is_time_to_look() && !collects_elsewhere(client)) {
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
  if (client->cancellations) client->cancellations->remove(job);
}

// _cancel() of a job: of a call that a worker has begun, False. Of a map, what is begun runs on,
// and the rest is not begun any more.
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
    const auto& list = *client->cancellations;
    if (missing == 0 || job->handed_in || !(is_call ? list.ask(id) : list.cancel_rest(id))) {
      if (is_call) Py_RETURN_FALSE;
      drop(client, job);  // what comes of it, nobody wants
      Py_RETURN_TRUE;
    }
    // Asked first and then looked: see cancellations.hpp.
    if (is_call) {
      const Baton baton(client);
      const int cancelled = cancel_asked(client, job, list);
      if (cancelled < 0) return nullptr;
      if (cancelled == 0) return PyBool_FromLong(job->cancelled);
    }
    client->cancelled.emplace(id, missing);
    drop(client, job);
    Py_RETURN_TRUE;
  });
}

// cancel_waiting(error): cancels what no worker has begun, but for as many of the oldest calls as
// there are workers, which are about to begin them. Returns the futures of the calls; the items of
// a map fail with `error`.
PyObject* cancel_waiting(PyObject* self, PyObject* error) {
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    Ref futures(PyList_New(0));
    if (!futures || !is_ours(client)) return futures.release();
    if (!await_baton(client)) return nullptr;
    const Baton baton(client);
    const std::vector<Ref> waiting = waiting_jobs(client);
    // All are asked for before any is looked for, as in cancel_job().
    const auto& list = *client->cancellations;
    std::vector<Job*> entered;
    for (const Ref& each : waiting) {
      Job* job = job_of(each.get());
      const bool is_call = job->kind == JobKind::call;
      if (is_call ? list.ask(job->id) : list.cancel_rest(job->id)) entered.push_back(job);
    }
    bool good = true;
    for (Job* job : entered) {
      int cancelled = 0;
      if (good && job->kind == JobKind::call) {
        cancelled = cancel_asked(client, job, list);
        good = cancelled >= 0;
      } else {
        good = good && collect_ready(client);
        if (good && job->open) cancelled = 1;
        if (cancelled == 0) list.remove(job->id);
      }
      if (cancelled != 1) continue;
      client->cancelled.emplace(job->id, job->total - job->received);
      const Ref future = Ref::borrow(job->future);
      if (!future) {
        fail(client, job, error);
        continue;
      }
      drop(client, job);
      good = PyList_Append(futures.get(), future.get()) == 0;
    }
    return good ? futures.release() : nullptr;
  });
}

PyObject* is_job_running(PyObject* self, PyObject*) {
  const Job* job = job_of(self);
  PoolClient* client = client_of(job->client);
  return guarded([&]() -> PyObject* {
    if (!job->open || !is_ours(client)) Py_RETURN_FALSE;
    return PyBool_FromLong(is_claimed(client, job));
  });
}

// _watch() of a job: from now on its future has locks and callbacks, which are for their own
// thread.
PyObject* watch_job(PyObject* self, PyObject*) {
  Job* job = job_of(self);
  PoolClient* client = client_of(job->client);
  if (!has_ended(job)) {
    job->wants_callback = true;
    if (job->open && !job->urgent) {
      job->urgent = true;
      ++client->urgent;
      if (is_ours(client)) rouse_callbacks(client);
    }
  }
  Py_RETURN_NONE;
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
