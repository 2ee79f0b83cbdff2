// The pool's threads, which are Python's: the attendant collects while nobody else does, and a
// second one runs the callbacks. Each begins with the first call that needs it.
//
// They take no signals while they sleep, so that those reach a thread that runs handlers. The
// attendant takes results out of the ring without the interpreter lock: a stopped worker may have a
// lock of the family, and who wants to end that worker needs the interpreter.
#include "pool_client.hpp"

namespace forkful::python {
namespace {

using bytes::Attendance;
using bytes::ByteMessage;
using bytes::ByteQueue;
using News = PoolClient::Local::News;

constexpr std::chrono::hours kForGood{24 * 365};

// Without the interpreter lock, and without signals, while it lives.
// In this order: signals are let through again only when the thread has the GIL back. One that came
// in between would have to be taken by a thread that waits.
class Asleep {
 public:
  Asleep() : state_(PyEval_SaveThread()) {}
  ~Asleep() { PyEval_RestoreThread(state_); }
  Asleep(const Asleep&) = delete;
  Asleep& operator=(const Asleep&) = delete;

 private:
  PyThreadState* state_;
  bytes::NoSignals no_signals_;
};

// Results on their way from the ring, with the GIL away, to the jobs, with it. Two steps: both
// taking a message and freeing it may need a lock of the family.
class Messages {
 public:
  // Those that come within a slice.
  void take(const bytes::TaskPool& pool) {
    count_ = 0;
    Wait wait(Deadline::in(bytes::PoolOwner::kLookEvery));
    if (pool.next_result(all_[0], wait) != ByteQueue::Got::received) return;
    for (count_ = 1; count_ < kMost && pool.waiting_results() != 0; ++count_) {
      Wait poll(Deadline::poll());
      if (pool.next_result(all_[count_], poll) != ByteQueue::Got::received) return;
    }
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  void give_to_jobs(PoolClient* client) FORKFUL_REQUIRES(client->collecting) {
    for (int i = 0; i < count_; ++i) {
      if (!receive(client, all_[i])) PyErr_WriteUnraisable(nullptr);
    }
  }
  void drop() {
    for (int i = 0; i < count_; ++i) all_[i].reset();
    count_ = 0;
  }

 private:
  static constexpr int kMost = 64;
  ByteMessage all_[kMost];
  int count_ = 0;
};

// One turn with the baton. The GIL goes in the middle of it, and other threads may submit and wait
// meanwhile, but not collect. False with an exception set.
bool attend_for_a_slice(PoolClient* client, Messages& messages) {
  const Baton baton(client);
  if (!client->interrupted.empty()) return receive_interrupted(client);
  if (client->owner->has_vacancy() && !start_missing_workers(client)) return false;
  {
    const Asleep asleep;
    messages.take(client->pool());
  }
  const bool none = messages.empty();
  messages.give_to_jobs(client);
  {
    const Asleep asleep;
    messages.drop();
  }
  if (client->leaving && !start_missing_workers(client)) return false;
  return !(none || client->owner->is_time_to_look()) || look_after_workers(client);
}

// Who cancels needs the baton, each time anew, which is never free while a thread goes from one
// slice to the next.
bool leaves_to_cancellers(PoolClient* client) {
  return client->cancellers > 0 || std::exchange(client->cancels, false);
}

// The count is changed under both locks, the GIL and the mutex, so that it may be read under
// either: whoever notes it with the GIL cannot miss what is told before it sleeps.
void tell(PoolClient* client, News& news) {
  {
    const std::lock_guard lock(client->local->mutex);
    ++news.count;
  }
  news.told.notify_one();
}

// Sleeps until there is news, at most for `most`.
void sleep(PoolClient* client, News& news, std::chrono::milliseconds most) {
  const std::uint64_t seen = news.count;
  const Asleep asleep;
  std::unique_lock lock(client->local->mutex);
  news.told.wait_for(lock, most, [&] { return news.count != seen; });
}

// Until callbacks are due that it has to run, or no more will be. False with an exception set.
bool attend_until_needed(PoolClient* client, Attendance& attendance, Messages& messages) {
  News& roused = client->local->roused;
  while (!client->callbacks_stopped) {
    if (!client->finished.empty() && !client->has_callback_thread) break;
    if (client->ending_thread != 0) {
      sleep(client, roused, kForGood);  // whoever ends the pool collects what is left
      continue;
    }
    if (!client->interrupted.empty() && !client->baton) {
      if (!attend_for_a_slice(client, messages)) return false;
      continue;
    }
    // What is urgent in an executor its own thread does, unless a callback takes its time.
    const bool urgent = client->executor ? client->owner->has_vacancy() : is_urgent(client);
    switch (attendance.next(
        {!client->jobs.empty(), urgent, client->waiters, client->waits, client->next_job})) {
      case Attendance::Step::attend:
        if (client->baton || leaves_to_cancellers(client)) {
          sleep(client, roused, bytes::PoolOwner::kLookEvery);
        } else if (!attend_for_a_slice(client, messages)) {
          return false;
        }
        break;
      case Attendance::Step::look:
        sleep(client, roused, Attendance::kGrace);
        break;
      case Attendance::Step::sleep:
        client->attendant_sleeps = true;
        sleep(client, roused, kForGood);
        client->attendant_sleeps = false;
        break;
    }
  }
  return true;
}

// What keeps the pool from going on is everybody's: all jobs end with it.
void break_with_error(PoolClient* client) { break_pool(client, take_error()); }

// Starts a thread that calls a method of the client; whether it is there.
// A thread of Python's _thread, so that the interpreter knows it and, at its end, does not wait for
// it. Where there is none to be had, the pool goes on without: see pool_client.hpp.
void start_thread(PoolClient* client, const char* life, bool& is_there) {
  if (client->callbacks_stopped || !is_ours(client)) return;
  Ref threads(PyImport_ImportModule("_thread"));
  Ref method(PyObject_GetAttrString(reinterpret_cast<PyObject*>(client), life));
  Ref none(PyTuple_New(0));
  if (threads && method && none) {
    // Before it begins: it may have come to its end before this thread goes on.
    is_there = true;
    Ref id(PyObject_CallMethod(threads.get(), "start_new_thread", "OO", method.get(), none.get()));
    if (id) return;
    is_there = false;
  }
  PyErr_Clear();
}

}  // namespace

void start_attendant(PoolClient* client) { start_thread(client, "attend", client->has_attendant); }

void start_callback_thread(PoolClient* client) {
  start_thread(client, "call_back", client->has_callback_thread);
}

void rouse(PoolClient* client) { tell(client, client->local->roused); }

void dismiss_threads(PoolClient* client) {
  client->callbacks_stopped = true;
  tell(client, client->local->roused);
  tell(client, client->local->due);
}

void add_due(PoolClient* client, PyObject* job) {
  client->finished.push_back(job);
  tell(client, client->has_callback_thread ? client->local->due : client->local->roused);
}

void rouse_callbacks(PoolClient* client) { tell(client, client->local->due); }

// A callback is anybody's code, and may call the pool, or this function: each job is out of the
// queue before it is called. Its own exceptions are caught in _call_back().
void run_callbacks(PoolClient* client) {
  while (!client->finished.empty()) {
    Ref job(client->finished.front());
    client->finished.pop_front();
    Ref done(PyObject_CallMethod(job.get(), "_call_back", nullptr));
    if (!done) PyErr_WriteUnraisable(job.get());
  }
}

PyObject* attend(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  client->attendant_thread = PyThread_get_thread_ident();
  return guarded([&]() -> PyObject* {
    Attendance attendance;
    // Not on the stack, of 260 KiB, and not zeroed.
    const auto messages = std::make_unique_for_overwrite<Messages>();
    for (;;) {
      try {
        if (!attend_until_needed(client, attendance, *messages)) break_with_error(client);
      } catch (...) {
        raise_current();
        break_with_error(client);
      }
      // Also when no more are to come: those of jobs that have their results are run.
      if (!client->has_callback_thread) run_callbacks(client);
      if (client->callbacks_stopped) break;
    }
    client->has_attendant = false;
    client->attendant_thread = 0;
    notify(client);
    Py_RETURN_NONE;
  });
}

// Until callbacks are due, somebody wakes it, or nothing is urgent any more. Results of an executor
// whose futures are watched take no way over the attendant, which steps in where a callback takes
// its time.
bool collect_until_due(PoolClient* client, Messages& messages) {
  while (client->finished.empty() && !client->woken && !client->callbacks_stopped) {
    if (client->urgent == 0) {
      sleep(client, client->local->due, kForGood);
      continue;
    }
    ++client->waits;  // for the attendant
    if (client->baton || client->waiters > 0 || client->ending_thread != 0 ||
        leaves_to_cancellers(client)) {
      sleep(client, client->local->due, bytes::PoolOwner::kLookEvery);
    } else {
      ++client->waiters;
      const bool good = attend_for_a_slice(client, messages);
      --client->waiters;
      if (!good) return false;
    }
  }
  return true;
}

// serve(): the life of an executor's thread, until somebody wakes it.
PyObject* serve(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  client->callback_thread = PyThread_get_thread_ident();
  return guarded([&]() -> PyObject* {
    const auto messages = std::make_unique_for_overwrite<Messages>();
    for (;;) {
      run_callbacks(client);
      if (std::exchange(client->woken, false) || client->callbacks_stopped) Py_RETURN_NONE;
      if (!collect_until_due(client, *messages)) break_with_error(client);
    }
  });
}

PyObject* call_back(PyObject* self, PyObject*) {
  PoolClient* client = client_of(self);
  client->callback_thread = PyThread_get_thread_ident();
  for (;;) {
    run_callbacks(client);
    if (client->callbacks_stopped) break;
    sleep(client, client->local->due, kForGood);
  }
  client->has_callback_thread = false;
  client->callback_thread = 0;
  notify(client);
  Py_RETURN_NONE;
}

}  // namespace forkful::python
