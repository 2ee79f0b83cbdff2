// A pool as its owner sees it: jobs, and who collects their results.
//
//   submit ─► ring of tasks        ring of results ─► collect ─► Job ─► wait(), next(), callbacks
//
// Whoever waits for a job takes the baton and collects results, other threads' included, until
// its own is there; the others wait on a condition of this process. A job with callbacks is
// finished by the thread that calls take_finished(). Everything here is guarded by the interpreter
// lock, which is given away only while waiting.
#pragma once

#include <condition_variable>
#include <deque>
#include <forkful/bytes/task_pool.hpp>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "pool_task.hpp"
#include "values.hpp"

namespace forkful::python {

struct PoolClient;

enum class JobKind { call, map, ordered, unordered };

// A Python object; its subclasses are AsyncResult and the iterators of imap().
struct Job {
  PyObject_HEAD PyObject* client;  // the PoolClient; a job keeps its pool's memory
  std::uint64_t id;
  JobKind kind;
  bool wants_callback;
  bool all_submitted;  // an imap's input has ended
  bool done;
  std::uint32_t total;     // items submitted so far
  std::uint32_t received;  // items with a result
  std::uint32_t given;     // items that an iterator has handed out
  PyObject* value;         // of a call; the list of a map
  PyObject* error;         // the first one
  PyObject* feeder;        // called when fewer than low_water items lie ahead of an iterator
  PyObject* pool;          // Python's Pool, which lives at least until the job is done
  std::uint32_t low_water;
  std::vector<bool> have;  // by item, so that none counts twice
  struct Item {
    bool ok;
    Ref object;
  };
  std::unordered_map<std::uint32_t, Item> waiting;  // of an ordered iterator
  std::deque<Item> ready;                           // of an unordered one
};

inline Job* job_of(PyObject* self) { return reinterpret_cast<Job*>(self); }

struct PoolClient {
  PyObject_HEAD bytes::TaskPool pool;
  PyObject* maintain;      // called about every 20 ms of waiting, and when a worker leaves
  PyObject* decode_error;  // (bytes) -> exception
  std::uint64_t next_job;
  std::uint64_t next_function;
  PyObject* last_function;
  PyObject* last_pickle;
  std::uint64_t last_function_id;
  std::vector<bytes::Shared> last_shares;  // what its pickle names
  bool baton;
  bool leaving;  // a worker said good-bye since maintain() was called
  bool maintaining;
  bool callbacks_stopped;
  std::uint32_t local_waiters;
  std::unordered_map<std::uint64_t, PyObject*> jobs;  // unfinished ones, each a reference
  std::deque<PyObject*> finished;                     // whose callbacks are to run
  // Never destroyed: in a forked child it may hold waiters of the parent's, for whom the destructor
  // of a condition_variable would wait for ever.
  struct Local {
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t changes = 0;
  }* local;
};

inline PoolClient* client_of(PyObject* self) { return reinterpret_cast<PoolClient*>(self); }

// Gives item `index` its result; one that has a result keeps it. Steals nothing.
void deliver(PoolClient* client, Job* job, std::uint32_t index, bool ok, PyObject* object);
// Ends a job that has all it waits for.
void settle(PoolClient* client, Job* job);
// Wakes the threads of this process that wait for somebody else to collect.
void notify(PoolClient* client);

// Gives the results of one message to their jobs; false with an exception set, when all of them
// have been delivered.
bool receive(PoolClient* client, const bytes::ByteMessage& message);
// Collects what is there without waiting; false with an exception set.
bool collect_ready(PoolClient* client);
// Collects until `job` is done (or, for an iterator, has something to give), or without a job until
// every job is; at the latest until `deadline`. 1: so; 0: not in time; -1: an exception is set.
int collect_until(PoolClient* client, Job* job, bool for_next, Deadline deadline);
// For the thread that runs callbacks: waits until a job's are due, collecting where nobody else
// does. 1: so; 0: stop_callbacks() was called; -1: an exception is set.
int await_finished(PoolClient* client);

bool add_jobs(PyObject* module, PyTypeObject* client_type);
PyTypeObject* job_type();
PyTypeObject* client_type();

}  // namespace forkful::python
