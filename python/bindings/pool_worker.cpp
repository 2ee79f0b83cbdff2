// A pool worker's loop: claim a task, call the function for each item, commit each result.
//
// Runs in a child that was given the shared side of the pool, a PoolHandle.
// src/pool/TASK.md has what a death at each point costs: the item that was begun, and no other one.
//
// GIL:     kept while functions run and results are written; given away while the worker waits for
//          a task.
// Signals: what a handler raises within a function is that item's exception, as everything that the
//          function raises is, SystemExit and KeyboardInterrupt included. In the wait for a task it
//          ends the loop, and with that the worker.
// Fork:    a function may fork, and its child come out of it here. It has the worker's claim in its
//          memory, and must hand in nothing; see call().
#include <forkful/bytes/own_worker.hpp>
#include <forkful/bytes/task_pool.hpp>
#include <string>
#include <unordered_map>

#include "object_writer.hpp"
#include "pool_client.hpp"
#include "pool_task.hpp"
#include "remedies.hpp"
#include "values.hpp"

namespace forkful::python {
namespace {

using bytes::ByteQueue;
using bytes::Bytes;
using bytes::TaskPool;

class Loop {
 public:
  // `encode_error(exception, result=None)` gives bytes for the client.
  Loop(const PoolHandle& handle, std::uint32_t index, PyObject* encode_error)
      : worker_(handle.pool, index),
        cancellations_(handle.cancellations),
        encode_error_(encode_error) {}

  // Until the pool closes, or `most_tasks` are done (0: no bound). False with an exception set, and
  // in a child that a task has forked, with what the function has raised there, if anything.
  bool run(unsigned long most_tasks);
  [[nodiscard]] unsigned long tasks_done() const { return done_; }

 private:
  bool run_task();
  bool call(TaskMode mode, PyObject* function, PyObject* item);
  Ref function_for(const TaskReader& task);
  bool fail_rest(std::uint32_t from);
  void refuse_rest();
  [[gnu::noinline]] bool commit_error(PyObject* value, std::uint32_t status = kError);
  bool commit_value(PyObject* value);
  bool is_as_before(PyObject* value);

  unsigned long done_ = 0;
  TaskPool::Worker worker_;
  std::optional<bytes::Cancellations> cancellations_;  // an executor's
  PyObject* encode_error_;
  ObjectWriter writer_;  // knows the classes of this chunk's results
  Parts parts_;          // of one result
  Ref last_;             // the result of the item before, where that is one
  std::unordered_map<std::uint64_t, Ref> functions_;
};

bool Loop::run(unsigned long most_tasks) {
  for (; most_tasks == 0 || done_ < most_tasks; ++done_) {
    GilWait wait;
    switch (worker_.next(wait)) {
      case ByteQueue::Got::received:
        break;
      case ByteQueue::Got::shut_down:
        return true;
      case ByteQueue::Got::interrupted:
        return false;
      case ByteQueue::Got::timed_out:
        break;
    }
    if (!run_task()) return false;
    writer_.forget();
    last_ = Ref();
  }
  worker_.announce_leaving();
  return true;
}

// By the client's number for it, so that a function is unpickled once and not with every task. 0:
// it may have changed since the last task, and has no number.
Ref Loop::function_for(const TaskReader& task) {
  constexpr std::size_t kMostKept = 64;
  const std::uint64_t id = worker_.task().function;
  if (id != 0) {
    if (const auto found = functions_.find(id); found != functions_.end()) {
      return Ref::borrow(found->second.get());
    }
  }
  Ref function(unpickle(task.function()));
  if (function && id != 0) {
    if (functions_.size() >= kMostKept) functions_.clear();
    functions_.emplace(id, Ref::borrow(function.get()));
  }
  return function;
}

// False: the worker is to leave, with an exception set or as a child that is none. What an item
// raises, or cannot be read, is no reason.
bool Loop::run_task() {
  const bytes::TaskHead head = worker_.task();
  if (cancellations_ && cancellations_->refuses(head.job)) {
    refuse_rest();
    return true;
  }
  TaskReader task(head, worker_.payload());
  Ref function = function_for(task);
  if (!function) return fail_rest(head.start);
  if (task.is_list()) {
    Bytes rest = task.items();
    Ref items(decode(rest));
    if (items && (!PyList_Check(items.get()) || PyList_GET_SIZE(items.get()) < head.count)) {
      items = Ref(raise_damaged());
    }
    if (!items) return fail_rest(head.start);
    for (std::uint32_t i = head.start; i < head.count; ++i) {
      PyObject* item = PyList_GET_ITEM(items.get(), i);
      if (!call(task.mode(), function.get(), item)) return false;
    }
    return true;
  }
  Bytes rest = task.items();
  for (std::uint32_t i = 0; i < head.count; ++i) {
    Ref item(decode(rest));
    // The items lie one behind the other, so after one that cannot be read none can. Those before
    // head.start were done by a worker that has died, and are read to get past them.
    if (!item) return fail_rest(i < head.start ? head.start : i);
    if (i < head.start) continue;
    if (!call(task.mode(), function.get(), item.get())) return false;
  }
  return true;
}

// What an item is but the one argument.
[[gnu::noinline]] Ref call_with_many(TaskMode mode, PyObject* function, PyObject* item) {
  if (mode == TaskMode::call) return Ref(PyObject_Call(function, item, nullptr));
  if (mode == TaskMode::star) {
    Ref args(PySequence_Tuple(item));
    if (args) return Ref(PyObject_Call(function, args.get(), nullptr));
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      add_note(
          "forkful: each item of a starmap is the arguments of one call: a single argument is "
          "written (argument,)");
    }
    return {};
  }
  PyObject* args = nullptr;
  PyObject* named = nullptr;
  if (!PyArg_ParseTuple(item, "O!O!", &PyTuple_Type, &args, &PyDict_Type, &named)) return {};
  return Ref(PyObject_Call(function, args, named));
}

// After a function was given an item: whether it was not begun, as it takes more arguments.
bool lacks_arguments() {
  if (!PyErr_ExceptionMatches(PyExc_TypeError)) return false;
  Ref error = take_error();
  const Ref trace(PyException_GetTraceback(error.get()));
  const bool lacks = !trace && text_of(error.get()).find(" missing ") != std::string_view::npos;
  give_back_error(std::move(error));
  return lacks;
}

bool Loop::call(TaskMode mode, PyObject* function, PyObject* item) {
  worker_.begin_item();
  Ref result = mode == TaskMode::map ? Ref(PyObject_CallOneArg(function, item))
                                     : call_with_many(mode, function, item);
  if (!bytes::is_worker()) return false;  // a child that the function has forked; see _work()
  if (result) return commit_value(result.get());
  if (!PyCallable_Check(function)) {
    add_note(
        "forkful: the function comes first, and is given by its name: f and its arguments, not "
        "f(arguments)");
  } else if (mode == TaskMode::map && lacks_arguments()) {
    add_note(
        "forkful: the function gets each item as its only argument: starmap() of a pool takes "
        "tuples apart, and map() of an executor takes an iterable for each argument");
  }
  return commit_error(nullptr);
}

bool Loop::commit_value(PyObject* value) {
  parts_.clear();
  try {
    if (!parts_.encode(value, &writer_)) return commit_error(value);
    if (is_as_before(value)) {
      worker_.commit_item(kSameValue, {});
    } else {
      worker_.commit_item(kValue, parts_.span(), parts_.shares());
      last_ = worker_.task().count > 1 ? Ref::borrow(value) : Ref();
    }
    parts_.clear();  // it keeps what is large
    return true;
  } catch (...) {
    raise_current();  // no memory for the result: a smaller one says so
    return commit_error(nullptr);
  }
}

// Whether `value`, which is in parts_, is the object that the item before has as its result, with
// the same contents. A function that returns one table for every item sends it once a chunk; one
// that changes it in between sends it as it was each time.
bool Loop::is_as_before(PyObject* value) {
  if (value != last_.get() || !parts_.shares().empty()) return false;
  Bytes before = worker_.last_result();
  for (const Bytes part : parts_.span()) {
    if (part.size() > before.size() || std::memcmp(part.data(), before.data(), part.size()) != 0) {
      return false;
    }
    before = before.subspan(part.size());
  }
  return before.empty();
}

// The items from `from` on get the exception that is set.
bool Loop::fail_rest(std::uint32_t from) {
  Ref error = take_error();
  bool ok = true;
  for (std::uint32_t i = from; ok && i < worker_.task().count; ++i) {
    worker_.begin_item();
    give_back_error(Ref::borrow(error.get()));
    ok = commit_error(nullptr, kUnread);
  }
  return ok;
}

// The task is handed in without having been begun, by which the client hears that nobody else will
// meet it.
void Loop::refuse_rest() {
  for (std::uint32_t i = worker_.task().start; i < worker_.task().count; ++i) {
    worker_.commit_item(kCancelled, {});
  }
}

// Commits the exception that is set; `result` is what could not be pickled, or null, which ends the
// arguments of encode_error. False where not even that can be sent: the worker goes then.
bool Loop::commit_error(PyObject* result, std::uint32_t status) {
  Ref error = take_error();
  last_ = Ref();
  std::vector<bytes::Shared> shares;
  Ref encoded;
  {
    const Gathering gathering(shares);
    encoded = Ref(PyObject_CallFunctionObjArgs(encode_error_, error.get(), result, nullptr));
  }
  if (!encoded) return false;
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(encoded.get(), &data, &size) != 0) return false;
  try {
    const Bytes part(reinterpret_cast<std::byte*>(data), static_cast<std::size_t>(size));
    worker_.commit_item(status, std::span(&part, 1), shares);
    return true;
  } catch (...) {
    raise_current();
    return false;
  }
}

// run_worker(handle, index, most_tasks, encode_error)
PyObject* run_worker(PyObject*, PyObject* args) {
  PyObject* handle = nullptr;
  unsigned int index = 0;
  unsigned long most_tasks = 0;
  PyObject* encode_error = nullptr;
  if (!PyArg_ParseTuple(args, "O!IkO:run_worker", handle_type(), &handle, &index, &most_tasks,
                        &encode_error)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    // Shares of its own: the handle may be freed by what a task does.
    Loop loop(handle_in(handle), index, encode_error);
    if (!loop.run(most_tasks) && PyErr_Occurred() != nullptr) return nullptr;
    return PyLong_FromUnsignedLong(loop.tasks_done());
  });
}

PyMethodDef g_functions[] = {{"run_worker", run_worker, METH_VARARGS,
                              "run_worker(handle, index, most_tasks, encode_error, /)\n--\n\n"
                              "A worker's whole life; returns how many tasks it has done."},
                             {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_pool_worker(PyObject* module) { return PyModule_AddFunctions(module, g_functions) == 0; }

}  // namespace forkful::python
