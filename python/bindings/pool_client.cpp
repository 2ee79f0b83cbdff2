// PoolClient: submitting tasks, and how a pool ends.
#include "pool_client.hpp"

#include <algorithm>
#include <forkful/bytes/part_list.hpp>

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
  if (PyFunction_Check(function) || PyType_Check(function)) return true;
  if (!PyCFunction_Check(function)) return false;
  // A method of a list or a dict travels with that, as it is at the time of the call.
  const PyObject* self = PyCFunction_GET_SELF(function);
  return self == nullptr || PyModule_Check(self) || PyType_Check(self);
}

bool pickle_function(PoolClient* client, PyObject* function, Function& into) {
  if (function == client->last_function) {
    into.pickled = Ref::borrow(client->last_pickle);
    into.id = client->last_function_id;
    into.shares = client->last_shares;
  } else {
    into.pickled = pickle(function, into.shares);
    if (!into.pickled) {
      if (PyFunction_Check(function) && !is_callers(client)) {
        add_note(
            "forkful: workers know a function by its name: give one that is defined at the top "
            "level of a module; functools.partial() of it takes arguments along");
      }
      return false;
    }
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

// The items of one task, as bytes: simple values one behind the other, or one list.
class Items {
 public:
  bool encode(PyObject* const* items, std::uint32_t count) {
    if (count == 1) return parts_.encode(items[0]);
    for (std::uint32_t i = 0; i < count; ++i) {
      switch (parts_.add_simple(items[i])) {
        case Encoded::yes:
          continue;
        case Encoded::failed:
          return false;
        case Encoded::no:
          // As one list, objects that several items share are sent once.
          is_list_ = true;
          return parts_.encode_list(items, count);
      }
    }
    return true;
  }
  [[nodiscard]] std::span<const Bytes> parts() { return parts_.span(); }
  [[nodiscard]] bytes::Shares shares() const { return parts_.shares(); }
  [[nodiscard]] bool is_list() const { return is_list_; }

 private:
  Parts parts_;
  bool is_list_ = false;
};

// The items [first, first + count) of a job get the exception that is set.
void fail_items(PoolClient* client, Job* job, std::uint32_t first, std::uint32_t count) {
  Ref error = take_error();
  for (std::uint32_t i = 0; i < count; ++i) deliver(client, job, first + i, false, error.get());
}

// After the next `count` items could not be pickled: as with the standard pool that is their own
// failure. False, with the exception still set, where it is the caller's: a handler's, an
// interrupt, or the end of the program.
bool refuse_items(PoolClient* client, Job* job, std::uint32_t count) {
  if (!PyErr_ExceptionMatches(PyExc_Exception) || is_callers(client)) return false;
  fail_items(client, job, add_items(job, count), count);
  return true;
}

std::string which_items(std::uint32_t first, std::uint32_t count) {
  const std::string from = std::to_string(first);
  if (count == 1) return "forkful: it is item " + from + " of the input, from 0 on";
  return "forkful: it is one of the items " + from + " to " + std::to_string(first + count - 1) +
         " of the input, from 0 on; chunksize=1 says which";
}

// Hands in the next `count` items as one task. False, with an exception set, where the caller is to
// have that, and no item of these was handed in.
bool submit_chunk(PoolClient* client, Job* job, HandingIn& hand, const Function& function,
                  TaskMode mode, PyObject* const* items, std::uint32_t count) {
  Items encoded;
  if (!encoded.encode(items, count)) {
    if (job->kind != JobKind::call && !is_callers(client)) add_note(which_items(job->total, count));
    return refuse_items(client, job, count);
  }
  if (has_ended(job)) return true;  // by what was called meanwhile
  const TaskForm form{static_cast<std::uint32_t>(function.view.len),
                      static_cast<std::uint32_t>(mode) | (encoded.is_list() ? kList : 0)};
  const std::uint32_t first = add_items(job, count);
  hand.hold(count);
  try {
    bytes::PartList parts;
    parts.add(std::as_bytes(std::span(&form, 1)));
    parts.add({static_cast<const std::byte*>(function.view.buf),
               static_cast<std::size_t>(function.view.len)});
    for (const Bytes part : encoded.parts()) parts.add(part);
    std::vector<bytes::Shared> shares(function.shares);
    shares.insert(shares.end(), encoded.shares().begin(), encoded.shares().end());
    GilWait wait;
    const TaskHead head{job->id, first, count, 0, 0, function.id};
    const Waited how = client->pool().submit(head, parts.span(), shares, wait);
    hand.hold(0);
    if (how == Waited::done) return true;
  } catch (...) {
    hand.hold(0);
    raise_current();
    fail_items(client, job, first, count);
    return true;
  }
  // The wait for a lock was interrupted: some member may be stopped while it has it.
  if (!has_ended(job)) job->total = first;
  return false;
}

// After an exception that is the caller's: the caller will not have the job, whose callbacks nobody
// hears then. What was handed in runs.
void abandon(PoolClient* client, Job* job) {
  Ref error = take_error();
  job->wants_callback = false;
  job->all_submitted = true;
  settle(client, job);
  give_back_error(std::move(error));
}

// False where the pool has ended meanwhile, by another thread or by what gave the job its items;
// the job then ends as all others did.
bool enter(PoolClient* client, Job* job) {
  if (job->id != 0) return true;
  job->id = ++client->next_job;
  client->jobs.emplace(job->id, Py_NewRef(reinterpret_cast<PyObject*>(job)));
  job->open = true;
  job->urgent = job->urgent || job->wants_callback;
  if (job->urgent) ++client->urgent;
  // Whoever waits at once needs no attendant, and gives his job no pool to keep.
  if (job->pool != nullptr && !client->has_attendant) start_attendant(client);
  if (job->wants_callback && client->has_attendant && !client->has_callback_thread) {
    start_callback_thread(client);
  }
  if (client->attendant_sleeps || job->urgent || client->owner->has_vacancy()) rouse(client);
  if (!has_end_for_us(client)) return client->ended == nullptr;
  fail(client, job, Ref::borrow(client->ended != nullptr ? client->ended : client->broken).get());
  return false;
}

PyObject* none_unless_error() { return PyErr_Occurred() ? nullptr : Py_NewRef(Py_None); }

// Hands in the items of a list as tasks, and takes them out of it. False with an exception set.
bool hand_in(PoolClient* client, Job* job, PyObject* function_object, PyObject* items,
             std::uint32_t chunk, TaskMode mode) {
  HandingIn hand(client, job);
  Function function;
  bool good = true;
  // Pickling runs code that may draw more, and so may dropping what was taken out.
  while (good && PyList_GET_SIZE(items) > 0 && !has_ended(job)) {
    Py_ssize_t taken = 0;
    if (!function.pickled && !pickle_function(client, function_object, function)) {
      const Py_ssize_t count = PyList_GET_SIZE(items);
      good = refuse_items(client, job, static_cast<std::uint32_t>(count));
      if (good) taken = count;
    }
    while (good && taken < PyList_GET_SIZE(items) && !has_ended(job)) {
      const Py_ssize_t end = std::min<Py_ssize_t>(taken + chunk, PyList_GET_SIZE(items));
      // Nothing is added to a map's list while its items are pickled. For one item of another a
      // slice would cost too much; it stays in the list.
      PyObject* one = PyList_GET_ITEM(items, taken);
      Ref held;
      PyObject* const* task = &one;
      if (job->kind == JobKind::map) {
        task = &PyList_GET_ITEM(items, taken);
      } else if (end - taken > 1) {
        held = Ref(PyList_GetSlice(items, taken, end));
        task = held ? &PyList_GET_ITEM(held.get(), 0) : nullptr;
      }
      good = task != nullptr && submit_chunk(client, job, hand, function, mode, task,
                                             static_cast<std::uint32_t>(end - taken));
      if (good) taken = end;
    }
    Ref error = good ? Ref() : take_error();
    if (PyList_SetSlice(items, 0, taken, nullptr) != 0) return false;
    if (!good) give_back_error(std::move(error));
  }
  return good;
}

// submit(job, function, items, chunksize, mode, last): more items of a job. They are taken out of
// the list `items`, in order, as far as they are handed in; where it raises the rest stays in it.
// While a frame below or another thread hands in items of this job, it takes these as well.
PyObject* submit(PyObject* self, PyObject* args) {
  PyObject* job_object = nullptr;
  PyObject* function = nullptr;
  PyObject* items = nullptr;
  Py_ssize_t chunk = 1;
  unsigned int mode = 0;
  int last = 1;
  if (!PyArg_ParseTuple(args, "O!OO!nIp:submit", job_type(), &job_object, &function, &PyList_Type,
                        &items, &chunk, &mode, &last)) {
    return nullptr;
  }
  PoolClient* client = client_of(self);
  Job* job = job_of(job_object);
  return guarded([&]() -> PyObject* {
    if (has_ended(job) || !collect_unread(client)) return none_unless_error();
    if (!enter(client, job)) Py_RETURN_NONE;
    job->last_is_drawn = job->last_is_drawn || last != 0;
    if (job->handed_in) Py_RETURN_NONE;
    job->chunk = static_cast<std::uint32_t>(std::clamp<Py_ssize_t>(chunk, 1, 1 << 23));
    if (!hand_in(client, job, function, items, job->chunk, static_cast<TaskMode>(mode))) {
      if (job->kind == JobKind::map) abandon(client, job);
      return nullptr;
    }
    job->all_submitted = job->last_is_drawn;
    settle(client, job);
    Py_RETURN_NONE;
  });
}

// call(job, function, args, kwargs, timeout=None): the one task of a call.
PyObject* call(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count < 4 || count > 5 || !PyObject_TypeCheck(args[0], job_type())) {
    PyErr_SetString(PyExc_TypeError, "call(job, function, args, kwargs, timeout=None)");
    return nullptr;
  }
  PoolClient* client = client_of(self);
  Job* job = job_of(args[0]);
  const bool timed = count == 5 && args[4] != Py_None;
  std::chrono::nanoseconds limit = kNoLimit;
  if (timed && !to_limit(args[4], limit)) return nullptr;
  return guarded([&]() -> PyObject* {
    if (!collect_unread(client)) return nullptr;
    Ref item;
    auto mode = TaskMode::call;
    if (PyDict_Check(args[3]) && PyDict_GET_SIZE(args[3]) == 0) {
      item = to_tuple(args[2]);
    } else {
      mode = TaskMode::call_named;
      Ref positional = to_tuple(args[2]);
      Ref named(PyDict_New());
      if (!positional || !named || PyDict_Update(named.get(), args[3]) != 0) return nullptr;
      item = Ref(PyTuple_Pack(2, positional.get(), named.get()));
    }
    if (!item) return nullptr;
    job->urgent = timed;
    if (!enter(client, job)) Py_RETURN_NONE;
    if (limit != kNoLimit) client->owner->limit(job->id, limit);
    HandingIn hand(client, job);
    Function function;
    PyObject* one = item.get();
    if (pickle_function(client, args[1], function)
            ? !submit_chunk(client, job, hand, function, mode, &one, 1)
            : !refuse_items(client, job, 1)) {
      abandon(client, job);
      return nullptr;
    }
    job->all_submitted = true;
    settle(client, job);
    Py_RETURN_NONE;
  });
}

// end_input(job, error=None): an imap's input has ended, or raised `error`, which the iterator
// raises after the results of all that was submitted before.
PyObject* end_input(PyObject* self, PyObject* args) {
  PyObject* job_object = nullptr;
  PyObject* error = Py_None;
  if (!PyArg_ParseTuple(args, "O!|O:end_input", job_type(), &job_object, &error)) return nullptr;
  PoolClient* client = client_of(self);
  Job* job = job_of(job_object);
  return guarded([&]() -> PyObject* {
    if (has_ended(job) || !enter(client, job)) Py_RETURN_NONE;
    if (error != Py_None) Py_XSETREF(job->input_error, Py_NewRef(error));
    job->all_submitted = true;
    settle(client, job);
    if (client->local_waiters > 0) notify(client);
    Py_RETURN_NONE;
  });
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

// start(): the workers that are missing. Raises what keeps them from starting.
PyObject* start(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    if (!start_missing_workers(client)) return nullptr;
    if (client->broken == nullptr) Py_RETURN_NONE;
    give_back_error(Ref::borrow(client->broken));
    return nullptr;
  });
}

// Waits, for as long as that takes; interrupts come through.
bool await(PoolClient* client, Until what) {
  return collect_until(client, nullptr, what, Deadline::never()) > 0;
}

// join(): waits until the jobs of a closed pool are done, its workers have left and its callbacks
// have run.
PyObject* join(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    if (client->owner->phase() != bytes::PoolOwner::Phase::stopped) {
      if (!await(client, Until::all_done)) return nullptr;
      client->owner->let_go();
      if (!await(client, Until::workers_gone)) return nullptr;
      dismiss_threads(client);
    }
    if (!await(client, Until::threads_gone)) return nullptr;
    Py_RETURN_NONE;
  });
}

// However the end comes: the pool's threads may leave.
class NoMoreCallbacks {
 public:
  explicit NoMoreCallbacks(PoolClient* client) : client_(client) {}
  ~NoMoreCallbacks() { dismiss_threads(client_); }
  NoMoreCallbacks(const NoMoreCallbacks&) = delete;
  NoMoreCallbacks& operator=(const NoMoreCallbacks&) = delete;

 private:
  PoolClient* client_;
};

// terminate(error, exiting): ends the workers; jobs without a result fail with `error`. Where the
// interpreter ends, daemon threads are not woken: they would print it. A process that is
// stopped, or blocks signals, holds nothing up: no lock of the family is touched before all have
// had their last signal and are gone. An interrupt ends the grace, and comes when all is over.
PyObject* terminate(PyObject* self, PyObject* args) {
  constexpr std::chrono::milliseconds kMostNap{5};
  constexpr int kMostTurns = 200;  // of a collector that is in somebody's code: a second
  PyObject* error = nullptr;
  int exiting = 0;
  if (!PyArg_ParseTuple(args, "Op:terminate", &error, &exiting)) return nullptr;
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    Ref interrupt;
    const auto nap = [&](std::chrono::microseconds time) {
      wait_a_moment(client, time);
      if (PyErr_CheckSignals() == 0) return;
      interrupt = take_error();
      client->owner->hurry();
    };
    const NoMoreCallbacks at_the_end(client);
    client->ending_thread = PyThread_get_thread_ident();
    client->owner->stop();
    for (std::chrono::microseconds time{100}; !client->owner->end_step();
         time = std::min<std::chrono::microseconds>(time * 2, kMostNap)) {
      nap(time);
    }
    // What it has taken out of the ring it delivers first.
    for (int turn = 0; turn < kMostTurns && collects_elsewhere(client); ++turn) nap(kMostNap);
    client->owner->bury_all();
    if (!client->hooks->restore()) interrupt = take_error();
    for (int turn = 0; turn < kMostTurns && !collect_ready(client); ++turn) {
      interrupt = take_error();
    }
    client->exiting = exiting != 0;
    Py_XSETREF(client->ended, Py_NewRef(error));
    // Those that have their result have their callbacks run; those that end here do not.
    client->callbacks_stopped = true;
    if (!client->has_attendant) run_callbacks(client);
    if (exiting == 0) fail_all(client, error);
    if (!interrupt) Py_RETURN_NONE;
    give_back_error(std::move(interrupt));
    return nullptr;
  });
}

PyObject* close(PyObject* self, PyObject*) {
  client_of(self)->owner->close();
  Py_RETURN_NONE;
}

PyObject* get_broken(PyObject* self, void*) {
  PyObject* broken = client_of(self)->broken;
  return Py_NewRef(broken != nullptr ? broken : Py_None);
}

PyObject* get_usable(PyObject* self, void*) {
  const PoolClient* client = client_of(self);
  return PyBool_FromLong(client->broken == nullptr && is_ours(client));
}

PyObject* get_ours(PyObject* self, void*) { return PyBool_FromLong(is_ours(client_of(self))); }

// PoolClient(processes, workers, decode_error)
PyObject* new_client(PyTypeObject* type, PyObject* args, PyObject*) {
  unsigned int processes = 0;
  PyObject* workers = nullptr;
  PyObject* decode_error = nullptr;
  if (!PyArg_ParseTuple(args, "IOO:PoolClient", &processes, &workers, &decode_error)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    Ref self(type->tp_alloc(type, 0));
    if (!self) return nullptr;
    PoolClient* client = client_of(self.get());
    new (&client->jobs) decltype(client->jobs)();
    new (&client->finished) decltype(client->finished)();
    new (&client->interrupted) decltype(client->interrupted)();
    new (&client->last_shares) decltype(client->last_shares)();
    client->local = new PoolClient::Local();
    client->hooks = new Workers(client);
    client->workers = Py_NewRef(workers);
    client->decode_error = Py_NewRef(decode_error);
    // The standard Pool terminates its workers without a grace.
    client->owner = new bytes::PoolOwner(processes, std::chrono::milliseconds(0), *client->hooks);
    return self.release();
  });
}

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
  return 0;
}

int clear(PyObject* self) {
  PoolClient* client = client_of(self);
  Py_CLEAR(client->workers);
  Py_CLEAR(client->broken);
  Py_CLEAR(client->ended);
  Py_CLEAR(client->decode_error);
  Py_CLEAR(client->last_function);
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
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef g_attributes[] = {
    {"broken", get_broken, nullptr, "Why no worker is started any more, or None.", nullptr},
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
    {Py_tp_doc,
     const_cast<char*>("PoolClient(processes, workers, decode_error, /)\n--\n\nA pool.")},
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
  };
  for (const auto& each : constants) {
    if (PyModule_AddIntConstant(module, each.name, each.value) != 0) return false;
  }
  PyTypeObject* type = nullptr;
  return add_type(module, g_spec, &type) && add_jobs(module, type);
}

}  // namespace forkful::python
