// The attendant: a thread of Python's that collects while nobody else does, and runs the callbacks.
//
// It takes no signals while it sleeps, so that they reach a thread that runs handlers. It takes
// results out of the ring without the interpreter lock: a stopped worker may have a lock of the
// family, and who wants to end that worker needs the interpreter.
#include "pool_client.hpp"

namespace forkful::python {
namespace {

using bytes::Attendance;
using bytes::ByteMessage;
using bytes::ByteQueue;

// Without the interpreter lock, and without signals, while it lives.
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
  void give_to_jobs(PoolClient* client) {
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

bool attend_for_a_slice(PoolClient* client, Messages& messages) {
  const Baton baton(client);
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

// Sleeps until somebody rouses it, at most for `most`.
void sleep(PoolClient* client, std::chrono::milliseconds most) {
  const std::uint64_t seen = client->local->rouses;
  const Asleep asleep;
  std::unique_lock lock(client->local->mutex);
  client->local->roused.wait_for(lock, most, [&] { return client->local->rouses != seen; });
}

// Until callbacks are due, or no more will be. False with an exception set.
bool await_callbacks(PoolClient* client, Attendance& attendance, Messages& messages) {
  constexpr std::chrono::hours kForGood{24 * 365};
  while (client->finished.empty() && !client->callbacks_stopped) {
    if (client->ending_thread != 0) {
      sleep(client, kForGood);  // whoever ends the pool collects what is left
      continue;
    }
    switch (attendance.next({!client->jobs.empty(), is_urgent(client), client->waiters,
                             client->waits, client->next_job})) {
      case Attendance::Turn::attend:
        if (client->baton) {
          sleep(client, bytes::PoolOwner::kLookEvery);
        } else if (!attend_for_a_slice(client, messages)) {
          return false;
        }
        break;
      case Attendance::Turn::look:
        sleep(client, Attendance::kGrace);
        break;
      case Attendance::Turn::sleep:
        client->attendant_sleeps = true;
        sleep(client, kForGood);
        client->attendant_sleeps = false;
        break;
    }
  }
  return true;
}

// What keeps the pool from going on is everybody's: all jobs end with it.
void break_with_error(PoolClient* client) {
  Ref error = take_error();
  client->owner->start_no_more();
  Py_XSETREF(client->broken, Py_NewRef(error.get()));
  fail_all(client, error.get());
}

}  // namespace

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
    const auto messages = std::make_unique_for_overwrite<Messages>();
    for (;;) {
      try {
        if (!await_callbacks(client, attendance, *messages)) break_with_error(client);
      } catch (...) {
        raise_current();
        break_with_error(client);
      }
      if (client->finished.empty() && client->callbacks_stopped) break;
      run_callbacks(client);
    }
    client->has_attendant = false;
    client->attendant_thread = 0;
    notify(client);
    Py_RETURN_NONE;
  });
}

}  // namespace forkful::python
