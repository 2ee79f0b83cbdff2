// How a pool ends: closed and joined, or terminated.

#include "pool_client.hpp"

namespace forkful::python {
namespace {

// Waits, for as long as that takes; interrupts come through.
bool await(PoolClient* client, Until what) {
  return collect_until(client, nullptr, what, Deadline::never()) > 0;
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

}  // namespace

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

// terminate(error, exiting): ends the workers; jobs without a result fail with `error`. Where the
// interpreter ends, daemon threads are not woken: they would print it. A process that is
// stopped, or blocks signals, holds nothing up: no lock of the family is touched before all have
// had their last signal and are gone. An interrupt ends the grace, and comes when all is over.
PyObject* terminate(PyObject* self, PyObject* args) {
  constexpr std::chrono::milliseconds kNap{5};
  constexpr int kMostTurns = 200;  // of a collector that is in somebody's code: a second
  PyObject* error = nullptr;
  int exiting = 0;
  if (!PyArg_ParseTuple(args, "Op:terminate", &error, &exiting)) return nullptr;
  PoolClient* client = client_of(self);
  return guarded([&]() -> PyObject* {
    Ref interrupt;
    const auto take_interrupt = [&] {
      if (PyErr_CheckSignals() == 0) return;
      interrupt = take_error();
      client->owner->hurry();
    };
    const NoMoreCallbacks at_the_end(client);
    client->ending_thread = PyThread_get_thread_ident();
    client->owner->stop();
    while (!client->owner->end_step()) {
      await_an_end(client);
      take_interrupt();
    }
    // What it has taken out of the ring it delivers first.
    for (int turn = 0; turn < kMostTurns && collects_elsewhere(client); ++turn) {
      wait_a_moment(client, kNap);
      take_interrupt();
    }
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

}  // namespace forkful::python
