// A pool as its owner sees it: jobs, and who collects their results.
//
//   submit ─► ring of tasks        ring of results ─► collect ─► Job ─► wait(), next(), callbacks
//
// Whoever waits for a job takes the baton and collects results, other threads' included, until
// its own is there; the others wait on a condition of this process. What it runs meanwhile (a
// signal's handler, an unpickling object, a finalizer) may call the pool: that call has the baton
// already, and collects as well. While nobody waits, the attendant does it; see
// <forkful/bytes/attendance.hpp>. Callbacks have a thread of their own: one may wait for what only
// a worker does that is not started yet. The rules about workers are the engine's
// (<forkful/bytes/pool_owner.hpp>); pool_workers.cpp has what they ask Python for.
//
// Everything here is guarded by the interpreter lock, which is given away only while waiting.
// Fork: in a forked child all of it is inert; see is_ours().
#pragma once

#include <condition_variable>
#include <deque>
#include <forkful/bytes/attendance.hpp>
#include <forkful/bytes/cancellations.hpp>
#include <forkful/bytes/pool_owner.hpp>
#include <forkful/detail/waits/thread_safety.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "item_window.hpp"
#include "pool_task.hpp"
#include "values.hpp"

namespace forkful::python {

// Of one task: the block of its results counts them in 24 bits (src/pool/words.hpp).
inline constexpr int kMostItems = 1 << 23;

struct PoolClient;

enum class JobKind { call, map, ordered, unordered };

// A Python object; its subclasses are AsyncResult and the iterators of imap().
struct Job {
  PyObject_HEAD PyObject* client;  // the PoolClient; a job keeps its pool's memory
  std::uint64_t id;
  JobKind kind;
  bool wants_callback;
  bool urgent;         // the attendant is needed for it: it has callbacks, or a time-out
  bool all_submitted;  // an imap's input has ended
  bool handed_in;      // some thread hands in items just now
  bool last_is_drawn;  // what it hands in are the last ones
  bool open;           // the pool has it, among its unfinished ones
  bool done;
  bool cancelled;          // by cancel(), before a worker began it
  std::uint32_t total;     // items submitted so far
  std::uint32_t received;  // items with a result
  std::uint32_t given;     // items that an iterator has handed out
  PyObject* value;         // of a call; the list of a map
  PyObject* error;         // the first one
  PyObject* input_error;   // of an iterator: comes after everything that was submitted
  PyObject* feeder;        // called when fewer than low_water items lie ahead of an iterator
  PyObject* pool;          // Python's Pool, which lives at least until the job is done
  PyObject* future;        // Python's Future, of an executor's call; likewise
  std::uint32_t low_water;
  std::uint32_t chunk;     // items of a task
  std::vector<bool> have;  // by item, so that none counts twice; see add_items()
  ItemWindow ahead;        // of an iterator
};

inline Job* job_of(PyObject* self) { return reinterpret_cast<Job*>(self); }

// Whether a job is no longer the pool's, which has all its results, or has failed it. Its input may
// still be drawn, and its callbacks may still be to run.
inline bool has_ended(const Job* job) { return job->id != 0 && !job->open; }
// Counts `count` more items of a job, and returns the first one's number.
std::uint32_t add_items(Job* job, std::uint32_t count);

// What the engine's owner of a pool asks of Python; see pool_workers.cpp.
class Workers final : public bytes::PoolOwner::Hooks {
 public:
  explicit Workers(PoolClient* client) : client_(client) {}
  // Sets the first exception that came up meanwhile; false when there was one.
  bool restore();
  // For the garbage collector: the frames of an exception's traceback have the client.
  int traverse(visitproc visit, void* arg) const;
  void drop_errors();

 private:
  int start(std::uint32_t slot) override;
  std::optional<int> ended(std::uint32_t slot) override;
  bool send_signal(std::uint32_t slot, int signal) override;
  std::string name(std::uint32_t slot) override;
  void give_back(std::uint32_t slot) override;
  void deliver(bytes::ByteMessage& results) override;
  bool is_one_call(std::uint64_t job) override;
  void lose(std::uint64_t job, const bytes::Death& why) override;
  void give_up(const bytes::Death* why) override;
  void pause() override { state_ = PyEval_SaveThread(); }
  void resume() override { PyEval_RestoreThread(state_); }
  template <class... Arguments>
  Ref insist(const char* method, const char* format, Arguments... arguments);
  void keep_error();
  void keep_error(Ref error);

  PoolClient* client_;
  Ref error_;        // the first one that came up meanwhile
  Ref start_error_;  // why the last worker could not be started
  PyThreadState* state_ = nullptr;
};

struct PoolClient {
  PyObject_HEAD PyObject* workers;  // Python's: start(slot), ended(slot) …
  PyObject* decode_error;           // (bytes) -> exception
  PyObject* broken;                 // why no worker is started any more
  PyObject* ended;                  // what the jobs of a terminated pool end with
  Workers* hooks;
  bytes::PoolOwner* owner;
  std::uint64_t next_job;
  std::uint64_t next_function;
  PyObject* last_function;
  PyObject* last_pickle;
  std::uint64_t last_function_id;
  std::vector<bytes::Shared> last_shares;  // what its pickle names
  bool baton;                              // somebody collects
  bytes::RightToCollect collecting;        // whoever has a Baton has it
  bool leaving;                            // a worker said good-bye, and is to be replaced
  bool callbacks_stopped;
  bool exiting;              // it was terminated since the interpreter ends
  bool executor;             // a ProcessPoolExecutor's, see pool_futures.cpp
  bool main_by_value;        // its workers do not run this process's main module
  bool woken;                // serve() returns
  bool cancels;              // somebody has just cancelled a job, and may cancel more of them
  std::uint32_t cancellers;  // threads that wait for the baton to cancel
  bool has_attendant;
  bool attendant_sleeps;  // until somebody rouses it
  bool has_callback_thread;
  unsigned long baton_thread;
  unsigned long attendant_thread;
  unsigned long callback_thread;
  unsigned long ending_thread;  // terminates the pool, and is not to wait for collectors
  std::uint32_t waiters;        // threads that wait for a result
  std::uint64_t waits;          // how often any has
  std::uint32_t local_waiters;  // of these, those who wait for another thread
  std::uint32_t urgent;         // unfinished jobs that need the attendant
  std::uint64_t results;        // tasks whose results have come
  std::unordered_map<std::uint64_t, PyObject*> jobs;  // unfinished ones, each a reference
  std::optional<bytes::Cancellations> cancellations;  // of an executor
  // Cancelled jobs, and how many of their items no worker has met yet.
  std::unordered_map<std::uint64_t, std::uint32_t> cancelled;
  std::deque<PyObject*> finished;  // whose callbacks are to run
  // Results whose reading a signal's handler has interrupted, which the caller was told.
  std::deque<bytes::ByteMessage> interrupted;
  // Never destroyed: in a forked child it may hold waiters of the parent's, for whom the destructor
  // of a condition_variable would wait for ever.
  struct Local {
    std::mutex mutex;
    struct News {
      std::condition_variable told;
      std::uint64_t count = 0;
    };
    News changed;  // for threads that wait for somebody else to collect
    News roused;   // for the attendant
    News due;      // for the thread that runs callbacks
  }* local;

  [[nodiscard]] const bytes::TaskPool& pool() const { return owner->tasks(); }
};

inline PoolClient* client_of(PyObject* self) { return reinterpret_cast<PoolClient*>(self); }

// Gives item `index` its result; one that has a result keeps it. Steals nothing.
void deliver(PoolClient* client, Job* job, std::uint32_t index, bool ok, PyObject* object);
// Ends a job that has all it waits for.
void settle(PoolClient* client, Job* job);
// Wakes the threads of this process that wait for somebody else to collect.
void notify(PoolClient* client);
// Takes a job that will get no more results from the unfinished ones; the reference that the client
// had.
Ref take_out(PoolClient* client, Job* job);
// So many items of a job that the client does not know any more have come to an end.
void note_gone(PoolClient* client, std::uint64_t job, std::uint32_t items);

// Whether there is work that waiters leave to the attendant.
inline bool is_urgent(const PoolClient* client) {
  return client->urgent > 0 || client->owner->has_vacancy();
}
// Rouses the attendant: there is work, and it may be asleep.
void rouse(PoolClient* client);
// Whether this process made the pool. In a forked child nothing may be taken from it.
bool is_ours(const PoolClient* client);

// What a thread collects for.
enum class Until {
  job_done,
  next_item,     // an iterator has something to give, or its end
  all_done,      // every job, and the callbacks of all
  workers_gone,  // of a closed pool
  threads_gone,  // the attendant, and the one that runs callbacks
};

// A job whose items this thread hands in, one task at a time. What runs meanwhile (pickling, a
// signal's handler) may call the pool, but not wait for what the frame below has in hand.
class HandingIn {
 public:
  HandingIn(PoolClient* client, Job* job);
  ~HandingIn();
  HandingIn(const HandingIn&) = delete;
  HandingIn& operator=(const HandingIn&) = delete;
  // So many items were counted, and are not sent yet.
  void hold(std::uint32_t count) { in_hand_ = count; }
  // Whether this thread, further up its stack, has in hand what is waited for.
  static bool has(const PoolClient* client, const Job* job, Until what) {
    if (job != nullptr && !job->handed_in) return false;
    return looks_for(client, job, what);
  }

 private:
  static bool looks_for(const PoolClient* client, const Job* job, Until what);
  PoolClient* client_;
  Ref job_;
  std::uint32_t in_hand_ = 0;
  HandingIn* outer_;
};

// Whether this thread has the baton already, further up its stack.
bool collects_here(const PoolClient* client);
// Has the baton while it lives. Requires: nobody else has it.
class FORKFUL_SCOPED_CAPABILITY Baton {
 public:
  explicit Baton(PoolClient* client) FORKFUL_ACQUIRE(client->collecting);
  ~Baton() FORKFUL_RELEASE();
  Baton(const Baton&) = delete;
  Baton& operator=(const Baton&) = delete;

 private:
  PoolClient* client_;
  const bool nested_;
};
// Whether another thread has the baton.
bool collects_elsewhere(const PoolClient* client);
// Gives the interpreter lock away until something changes; runs no signal's handler.
void wait_a_moment(PoolClient* client, std::chrono::nanoseconds most);
// Likewise, until some worker has ended or it is time to look.
void await_an_end(PoolClient* client);

// Gives the results of one message to their jobs. False with an exception set, which is the
// caller's; what was not delivered has been put aside then, and is read again, by the attendant,
// whom no handler interrupts. `again`: as in a message that was put aside, where there is no
// attendant; what interrupts that is its item's as well, or it might be put aside for ever.
bool receive(PoolClient* client, bytes::ByteMessage& message, bool again = false)
    FORKFUL_REQUIRES(client->collecting);
// Reads what was put aside. False with an exception set.
bool receive_interrupted(PoolClient* client) FORKFUL_REQUIRES(client->collecting);
// Collects what is there without waiting; false with an exception set.
bool collect_ready(PoolClient* client);
// Now and then, in place of who submits without ever waiting; false with an exception set.
bool collect_unread(PoolClient* client);
// Collects until it is so, at the latest until `deadline`; `job` is null where it is about the
// pool. 1: so; 0: not in time; -1: an exception is set.
int collect_until(PoolClient* client, Job* job, Until what, Deadline deadline);
// Whether the pool has ended for this thread: at the interpreter's end only the main thread is
// told.
bool has_end_for_us(const PoolClient* client);
// An executor takes a new job: it was not shut down, and no worker has died. False with an
// exception set.
bool admit(PoolClient* client);
// Whether the thread that runs callbacks does the rest for a job.
bool is_for_callbacks(const PoolClient* client, Job* job);
// A task or a result of an executor could not be read: what the item comes to, as Python has it,
// which may break the executor.
Ref note_unread(PoolClient* client, Ref error);
// Nobody starts workers any more, and every job fails with `error`.
void break_pool(PoolClient* client, Ref error);
// The thread that runs callbacks comes back from serve().
void wake(PoolClient* client);
// An unfinished job ends with `error`; every one does.
void fail(PoolClient* client, Job* job, PyObject* error);
void fail_all(PoolClient* client, PyObject* error);
// Looks after the workers; false with an exception set.
bool look_after_workers(PoolClient* client);
bool start_missing_workers(PoolClient* client);

// Methods of PoolClient, as its table has them: handing tasks in (pool_submit.cpp), and the end
// (pool_end.cpp).
PyObject* submit(PyObject* self, PyObject* args);
PyObject* call(PyObject* self, PyObject* const* args, Py_ssize_t count);
PyObject* end_input(PyObject* self, PyObject* args);
PyObject* close(PyObject* self, PyObject*);
PyObject* join(PyObject* self, PyObject*);
PyObject* terminate(PyObject* self, PyObject* args);

// Likewise, of an executor (pool_futures.cpp).
// Those of a job.
PyObject* cancel_job(PyObject* self, PyObject*);
PyObject* is_job_running(PyObject* self, PyObject*);
PyObject* watch_job(PyObject* self, PyObject*);
// Those of the client.
PyObject* cancel_waiting(PyObject* self, PyObject* error);
PyObject* serve(PyObject* self, PyObject*);
PyObject* wake_up(PyObject* self, PyObject*);
PyObject* finish_jobs(PyObject* self, PyObject*);
PyObject* break_with(PyObject* self, PyObject* error);
PyObject* want(PyObject* self, PyObject* count);
PyObject* look(PyObject* self, PyObject*);
PyObject* unfinished_jobs(PyObject* self, PyObject*);

// The pool's threads. Where the system has none to give, the attendant runs the callbacks, and
// where there is no attendant either, whoever waits does it all.
void start_attendant(PoolClient* client);
void start_callback_thread(PoolClient* client);
// No callbacks but those that are due; when these have run, the threads leave.
void dismiss_threads(PoolClient* client);
// The attendant's life.
PyObject* attend(PyObject* client, PyObject*);
// The life of the thread that runs callbacks.
PyObject* call_back(PyObject* client, PyObject*);
// Hands a job over whose callbacks are due. Steals a reference.
void add_due(PoolClient* client, PyObject* job);
// Rouses the thread that runs callbacks.
void rouse_callbacks(PoolClient* client);
// Runs the callbacks that are due.
void run_callbacks(PoolClient* client);

bool add_jobs(PyObject* module, PyTypeObject* client_type);
PyObject* finished_state();  // concurrent.futures.FINISHED
PyTypeObject* job_type();
PyTypeObject* client_type();

// What a worker is given of a pool, in whichever way it is started.
struct PoolHandle {
  bytes::TaskPool pool;
  std::optional<bytes::Cancellations> cancellations;  // an executor's

  explicit operator bool() const { return static_cast<bool>(pool); }
};
PyTypeObject* handle_type();
// A new one of this pool, as an object of Python; null with an exception set.
PyObject* new_handle(const PoolClient* client);
// What is in such an object. Throws PythonError.
const PoolHandle& handle_in(PyObject* self);
bool add_pool_handle(PyObject* module);

}  // namespace forkful::python
