// How a pool's tasks are handed in: what to call and the items, pickled, as tasks of a chunk each.
#include <algorithm>
#include <forkful/bytes/part_list.hpp>
#include <string>

#include "arguments.hpp"
#include "pool_client.hpp"
#include "remedies.hpp"

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

// After something could not be pickled: notes what that was, and what to do.
void note_what(const std::string& which) { note_refusal("it is " + which); }

bool pickle_function(PoolClient* client, PyObject* function, Function& into) {
  if (function == client->last_function) {
    into.pickled = Ref::borrow(client->last_pickle);
    into.id = client->last_function_id;
    into.shares = client->last_shares;
  } else {
    into.pickled = pickle(function, into.shares);
    bool by_value = client->main_by_value;
    if (!into.pickled && PyFunction_Check(function) && !is_callers()) {
      // A lambda, or a function within another one: it has no name that workers could know.
      Ref error = take_error();
      into.shares.clear();
      into.pickled = pickle_by_value(function, into.shares);
      by_value = true;
      if (!into.pickled && !is_callers()) {
        // cloudpickle is missing, or what the function refers to cannot be pickled.
        const std::string why = take_text();
        give_back_error(std::move(error));
        add_note("forkful: it cannot be sent by value either: " + why);
      }
    }
    if (!into.pickled) {
      if (!is_refusal()) return false;
      if (PyFunction_Check(function)) {
        add_note(std::string("forkful: ") + kNamedFunctions);
      } else {
        note_what("the function that is called");
      }
      return false;
    }
    if (is_plain(function) && !by_value) {
      into.id = ++client->next_function;
      Py_XSETREF(client->last_function, Py_NewRef(function));
      Py_XSETREF(client->last_pickle, Py_NewRef(into.pickled.get()));
      client->last_function_id = into.id;
      client->last_shares = into.shares;
    }
  }
  return PyObject_GetBuffer(into.pickled.get(), &into.view, PyBUF_SIMPLE) == 0;
}

// The items of one task, as bytes: simple values one after the other, or one list.
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
// failure. False, with the exception still set, where it is the caller's.
bool refuse_items(PoolClient* client, Job* job, std::uint32_t count) {
  if (!is_refusal()) return false;
  fail_items(client, job, add_items(job, count), count);
  return true;
}

std::string which_items(std::uint32_t first, std::uint32_t count) {
  const std::string from = std::to_string(first);
  if (count == 1) return "item " + from + " of the input, counted from 0";
  return "one of the items " + from + " to " + std::to_string(first + count - 1) +
         " of the input, counted from 0; chunksize=1 says which";
}

// Which argument of a call cannot be pickled, with the exception of that set: the first one that
// cannot be pickled alone. Empty where each can. `named` may be null.
std::string find_argument(PyObject* positional, PyObject* named) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(positional); ++i) {
    if (!Parts().encode(PyTuple_GET_ITEM(positional, i))) {
      return "argument " + std::to_string(i) + " of the call, counted from 0";
    }
  }
  PyObject* name = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t next = 0; named != nullptr && PyDict_Next(named, &next, &name, &value) != 0;) {
    const char* text = PyUnicode_AsUTF8(name);
    if (text == nullptr) PyErr_Clear();
    if (!Parts().encode(value)) {
      return std::string("the argument ") + (text != nullptr ? text : "?") + "= of the call";
    }
  }
  return {};
}

// After the arguments of a call could not be pickled: notes which one it was. `item`: the
// positional ones, or a tuple of these and of those by name.
void note_argument(PyObject* item, TaskMode mode) {
  Ref error = take_error();
  const std::string which = mode == TaskMode::call_named ? find_argument(PyTuple_GET_ITEM(item, 0),
                                                                         PyTuple_GET_ITEM(item, 1))
                                                         : find_argument(item, nullptr);
  if (!which.empty()) {
    if (!is_refusal()) return;  // an interrupt meanwhile is the caller's
    PyErr_Clear();
  }
  give_back_error(std::move(error));
  if (!which.empty()) note_what(which);
}

// Hands in the next `count` items as one task. False, with an exception set, where the caller is to
// have that, and no item of these was handed in.
bool submit_chunk(PoolClient* client, Job* job, HandingIn& hand, const Function& function,
                  TaskMode mode, PyObject* const* items, std::uint32_t count) {
  Items encoded;
  if (!encoded.encode(items, count)) {
    if (is_refusal()) {
      if (job->kind == JobKind::call) {
        note_argument(items[0], mode);
      } else {
        note_what(which_items(job->total, count));
      }
    }
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

// False with an exception set where an executor takes no jobs any more.
// False where the pool has ended meanwhile, by another thread or by what gave the job its items;
// the job then ends as all others did.
bool enter(PoolClient* client, Job* job) {
  if (job->id != 0) return true;
  if (client->executor && !admit(client)) return false;
  job->id = ++client->next_job;
  client->jobs.emplace(job->id, Py_NewRef(reinterpret_cast<PyObject*>(job)));
  job->open = true;
  job->urgent = job->urgent || job->wants_callback;
  if (job->urgent) ++client->urgent;
  // Whoever waits at once needs no attendant, and gives his job no pool to keep.
  const bool is_kept = job->pool != nullptr || client->executor;
  if (is_kept && !client->has_attendant) start_attendant(client);
  if (job->wants_callback && client->has_attendant && !client->has_callback_thread) {
    start_callback_thread(client);
  }
  if (client->attendant_sleeps || job->urgent || client->owner->has_vacancy()) rouse(client);
  if (!has_end_for_us(client)) return client->ended == nullptr;
  fail(client, job, Ref::borrow(client->ended != nullptr ? client->ended : client->broken).get());
  return false;
}

PyObject* none_unless_error() { return PyErr_Occurred() ? nullptr : Py_NewRef(Py_None); }

// So many items are handed in, or numbers made of a range, at a stretch. A guess: some
// milliseconds, and of numbers 400 KB, which a CPU's own cache may hold.
constexpr Py_ssize_t kPiece = 10'000;

// Other threads and signal handlers have their turn. False where a handler has raised.
bool let_others_run() {
  Py_BEGIN_ALLOW_THREADS;
  Py_END_ALLOW_THREADS;
  return PyErr_CheckSignals() == 0;
}

// What a job's items are taken from: a list, or a range, which becomes numbers piece by piece.
// These are then in the same memory again.
class Input {
 public:
  Input(PyObject* given, std::uint32_t chunk)
      : list_(PyList_Check(given) ? Ref::borrow(given) : Ref(PyList_New(0))),
        rest_(PyList_Check(given) ? Ref() : Ref::borrow(given)),
        piece_((kPiece + chunk - 1) / chunk * chunk) {}

  // Draws more where the list is empty. False with an exception set.
  bool fill() {
    if (!list_ || !rest_ || PyList_GET_SIZE(list_.get()) > 0) return static_cast<bool>(list_);
    Ref part(PySequence_GetSlice(rest_.get(), 0, piece_));
    rest_ = Ref(PySequence_GetSlice(rest_.get(), piece_, PY_SSIZE_T_MAX));
    return part && rest_ && PyList_SetSlice(list_.get(), 0, 0, part.get()) == 0;
  }
  [[nodiscard]] PyObject* list() const { return list_.get(); }
  // Of the list, and of what is still to be drawn.
  [[nodiscard]] Py_ssize_t size() const {
    return PyList_GET_SIZE(list_.get()) + (rest_ ? PyObject_Length(rest_.get()) : 0);
  }
  void drop_rest() { rest_ = Ref(); }

 private:
  Ref list_;
  Ref rest_;  // of a range
  Py_ssize_t piece_;
};

// Hands in items as tasks, and takes them out of the list. False with an exception set.
bool hand_in(PoolClient* client, Job* job, PyObject* function_object, Input& input, TaskMode mode) {
  HandingIn hand(client, job);
  Function function;
  PyObject* items = input.list();
  Py_ssize_t at_a_stretch = 0;
  // Pickling runs code that may draw more, and so may dropping what was taken out.
  bool good = input.fill();
  for (; good && PyList_GET_SIZE(items) > 0 && !has_ended(job); good = good && input.fill()) {
    Py_ssize_t taken = 0;
    if (!function.pickled && !pickle_function(client, function_object, function)) {
      good = refuse_items(client, job, static_cast<std::uint32_t>(input.size()));
      if (good) taken = PyList_GET_SIZE(items);
      input.drop_rest();
    }
    while (good && taken < PyList_GET_SIZE(items) && !has_ended(job)) {
      const Py_ssize_t end = std::min<Py_ssize_t>(taken + job->chunk, PyList_GET_SIZE(items));
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
      if (!good) break;
      at_a_stretch += end - taken;
      taken = end;
      if (at_a_stretch >= kPiece) {
        at_a_stretch = 0;
        good = let_others_run();
      }
    }
    Ref error = good ? Ref() : take_error();
    if (PyList_SetSlice(items, 0, taken, nullptr) != 0) return false;
    if (!good) give_back_error(std::move(error));
  }
  return good;
}

}  // namespace

// submit(job, function, items, chunksize, mode, last): more items of a job, a list or a range. They
// are taken out of the list, in order, as far as they are handed in; where it raises the rest stays
// in it. While a frame below or another thread hands in items of this job, it takes these as well.
PyObject* submit(PyObject* self, PyObject* args) {
  PyObject* job_object = nullptr;
  PyObject* function = nullptr;
  PyObject* items = nullptr;
  Py_ssize_t chunk = 1;
  unsigned int mode = 0;
  int last = 1;
  if (!PyArg_ParseTuple(args, "O!OOnIp:submit", job_type(), &job_object, &function, &items, &chunk,
                        &mode, &last)) {
    return nullptr;
  }
  if (!PyList_Check(items) && !PyRange_Check(items)) {
    PyErr_SetString(PyExc_TypeError, "submit: the items are a list or a range");
    return nullptr;
  }
  PoolClient* client = client_of(self);
  Job* job = job_of(job_object);
  return guarded([&]() -> PyObject* {
    if (has_ended(job) || !collect_unread(client)) return none_unless_error();
    if (!enter(client, job)) return none_unless_error();
    const MainByValue by_value(client->main_by_value);
    job->last_is_drawn = job->last_is_drawn || last != 0;
    if (job->handed_in) Py_RETURN_NONE;
    job->chunk = static_cast<std::uint32_t>(std::clamp<Py_ssize_t>(chunk, 1, kMostItems));
    Input input(items, job->chunk);
    if (!hand_in(client, job, function, input, static_cast<TaskMode>(mode))) {
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
      Ref named = positional ? to_dict(args[3]) : Ref();
      if (!named) return nullptr;
      item = Ref(PyTuple_Pack(2, positional.get(), named.get()));
    }
    if (!item) return nullptr;
    job->urgent = timed;
    if (!enter(client, job)) return none_unless_error();
    if (limit != kNoLimit) client->owner->limit(job->id, limit);
    HandingIn hand(client, job);
    const MainByValue by_value(client->main_by_value);
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
    if (has_ended(job) || !enter(client, job)) return none_unless_error();
    if (error != Py_None) Py_XSETREF(job->input_error, Py_NewRef(error));
    job->all_submitted = true;
    settle(client, job);
    if (client->local_waiters > 0) notify(client);
    Py_RETURN_NONE;
  });
}

}  // namespace forkful::python
