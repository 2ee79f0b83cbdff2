// Collecting results: the baton, and what a result does to its job.
//
// Called by whoever waits for a result, by the attendant, and by whoever ends the pool. The GIL
// guards all of it and is given away in the middle: while a thread sleeps, and in any code that
// reading a result runs. Such code may call the pool again, and submit, wait, collect or end it. So
// a job is looked up for each result and held while it gets it, and after each such step the state
// is looked at anew.
//
// A result that was taken out of the ring is nowhere else. Whatever comes in between, it has to
// reach its job, or to be put aside for whoever reads it later (interrupted).
#include "object_reader.hpp"
#include "pool_client.hpp"

namespace forkful::python {
namespace {

using bytes::ByteMessage;
using bytes::ByteQueue;
using bytes::ResultKind;
using bytes::ResultReader;

// A thread that waits for another one's news looks this often whether a signal has come.
constexpr std::chrono::milliseconds kSlice{20};

// Looks only. A thread of the pool's own does not wait for itself (threads_gone).
bool satisfied(const PoolClient* client, const Job* job, Until what) {
  switch (what) {
    case Until::job_done:
      return job->done;
    case Until::next_item:
      return job->ahead.has_next() || (job->done && job->given == job->total);
    case Until::all_done:
      return client->jobs.empty() && client->finished.empty();
    case Until::workers_gone:
      return client->owner->empty();
    case Until::threads_gone: {
      const unsigned long me = PyThread_get_thread_ident();
      return (!client->has_attendant || client->attendant_thread == me) &&
             (!client->has_callback_thread || client->callback_thread == me);
    }
  }
  return true;
}

bool lacks(const Job* job, std::uint32_t index) { return index < job->total && !job->have[index]; }

// Whether a job has its results and its callbacks are still to run, in their own thread.
bool awaits_callbacks(const Job* job) {
  return job != nullptr && job->wants_callback && has_ended(job);
}

// What the frames of one message have in common.
struct Chunk {
  ObjectReader objects;  // knows the classes of its results
  bytes::Bytes last;     // the last value, for kSameValue, and
  Ref value;             // its object, where that was made
};

// Notes the last value, whether anybody waits for it or not.
void look_ahead(const ResultReader& reader, Chunk& chunk) {
  if (reader.status() == kSameValue) return;
  chunk.last = reader.status() == kValue ? reader.payload() : bytes::Bytes();
  chunk.value = Ref();
}

// The value of the frame that was looked at last; null with an exception set.
Ref value_of(Chunk& chunk) {
  if (!chunk.value) {
    bytes::Bytes payload = chunk.last;
    chunk.value = Ref(decode(payload, &chunk.objects));
  }
  return Ref::borrow(chunk.value.get());
}

// What an item has come to that has no value; null with an exception set.
Ref error_of(PoolClient* client, const ResultReader& reader) {
  const bytes::Bytes payload = reader.payload();
  return Ref(PyObject_CallFunction(client->decode_error, "y#",
                                   reinterpret_cast<const char*>(payload.data()),
                                   static_cast<Py_ssize_t>(payload.size())));
}

// False with an exception set that is the caller's; the item has no result then, unless it was read
// `again`.
bool receive_frame(PoolClient* client, const ResultReader& reader, Chunk& chunk, bool again)
    FORKFUL_REQUIRES(client->collecting) {
  look_ahead(reader, chunk);
  const auto found = client->jobs.find(reader.head().job);
  if (found == client->jobs.end()) {  // nobody waits for it any more
    note_gone(client, reader.head().job, 1);
    return true;
  }
  Ref keep = Ref::borrow(found->second);
  if (!lacks(job_of(keep.get()), reader.index())) return true;
  if (reader.status() == kCancelled) job_of(keep.get())->cancelled = true;
  bool ok = reader.status() == kValue || reader.status() == kSameValue;
  Ref object = ok ? value_of(chunk) : error_of(client, reader);
  const bool unread = reader.status() == kUnread || (ok && !object);
  bool callers = false;
  if (!object) {
    // Whatever unpickling raised, SystemExit included, belongs to this item.
    ok = false;
    callers = is_callers();
    if (callers && !again) return false;
    object = take_error();
  }
  if (unread && client->executor && !callers) object = note_unread(client, std::move(object));
  deliver(client, job_of(keep.get()), reader.index(), ok, object.get());
  if (callers) give_back_error(std::move(object));
  return !callers;
}

// The attendant reads what was put aside. Where the system has no thread for one, or the pool ends,
// whoever collects does it.
bool leaves_to_attendant(const PoolClient* client) {
  return !client->interrupted.empty() && client->has_attendant && client->ending_thread == 0 &&
         client->attendant_thread != PyThread_get_thread_ident();
}

// What was delivered of it is not delivered again: lacks() says so. The exception that is set is
// kept over the start of a thread, which may fail.
void put_aside(PoolClient* client, ByteMessage& message) {
  Ref error = take_error();
  client->interrupted.emplace_back(std::move(message));
  if (!client->has_attendant) start_attendant(client);
  rouse(client);
  give_back_error(std::move(error));
}

// Reads everything that is there.
bool drain(PoolClient* client, const Job* job, Until what) FORKFUL_REQUIRES(client->collecting) {
  constexpr int kBeforeOthers = 256;
  if (!leaves_to_attendant(client) && !receive_interrupted(client)) return false;
  ByteMessage message;
  for (int count = 1;; ++count) {
    if (PyErr_CheckSignals() != 0) return false;
    GilWait poll(Deadline::poll());
    const auto got = client->pool().next_result(message, poll);
    if (got == ByteQueue::Got::interrupted) return false;
    if (got != ByteQueue::Got::received) break;
    if (!receive(client, message)) return false;
    if (satisfied(client, job, what)) break;
    if (count % kBeforeOthers == 0) {
      Py_BEGIN_ALLOW_THREADS;
      Py_END_ALLOW_THREADS;
    }
  }
  return !client->leaving || start_missing_workers(client);
}

Deadline earlier(Deadline deadline, std::chrono::nanoseconds most) {
  const Deadline slice = Deadline::in(most);
  return slice.at_ns < deadline.at_ns ? slice : deadline;
}

// By the engine's clock: Deadline::in() is now and so much more.
bool expired(Deadline deadline) {
  return deadline.is_poll() ||
         (!deadline.is_never() && Deadline::in(std::chrono::nanoseconds(1)).at_ns > deadline.at_ns);
}

// One step with the baton: sleeps until a result comes or a slice is over.
bool collect_step(PoolClient* client, const Job* job, Until what, Deadline deadline)
    FORKFUL_REQUIRES(client->collecting) {
  if (!drain(client, job, what)) return false;
  if (satisfied(client, job, what) || awaits_callbacks(job)) return true;
  if (client->owner->has_vacancy() && !start_missing_workers(client)) return false;
  if (what == Until::workers_gone) {  // what they still say is news, and no results
    await_an_end(client);
    return look_after_workers(client);
  }
  ByteMessage message;
  GilWait wait(earlier(deadline, bytes::PoolOwner::kLookEvery));
  switch (client->pool().next_result(message, wait)) {
    case ByteQueue::Got::received:
      if (!receive(client, message)) return false;
      if (client->leaving && !start_missing_workers(client)) return false;
      break;
    case ByteQueue::Got::interrupted:
      return false;
    default:
      // A slice without a result is the time; the clock of is_time_to_look() may be 10 ms coarse.
      if (!deadline.is_poll()) return look_after_workers(client);
  }
  return !client->owner->is_time_to_look() || look_after_workers(client);
}

// Somebody else collects: waits until something changes, or a slice is over.
bool wait_for_change(PoolClient* client, Deadline deadline) {
  const Deadline until = earlier(deadline, kSlice);
  wait_a_moment(client, std::chrono::nanoseconds(until.at_ns -
                                                 Deadline::in(std::chrono::nanoseconds(1)).at_ns));
  return PyErr_CheckSignals() == 0;
}

// Counts a thread that waits; the attendant leaves the collecting to it.
class Waiting {
 public:
  Waiting(PoolClient* client, bool counts) : client_(client), counts_(counts) {
    if (counts_) ++client_->waits;
    resume();
  }
  ~Waiting() { pause(); }
  // Around a time in which it waits, but would not collect.
  void pause() {
    // Where there is an attendant; in a program that always waits, its next wait does what is left.
    if (!counts_ || --client_->waiters > 0 || !is_urgent(client_)) return;
    client_->executor ? rouse_callbacks(client_) : rouse(client_);
  }
  void resume() {
    if (counts_) ++client_->waiters;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  PoolClient* client_;
  const bool counts_;
};

// Whether another thread ends the pool, and collects what is left by itself.
bool is_ended_elsewhere(const PoolClient* client) {
  return client->ending_thread != 0 && client->ending_thread != PyThread_get_thread_ident();
}

// A forked child waits for what only its parent gets: in vain, but as long as it was told.
int wait_in_vain(Deadline deadline) {
  if (deadline.is_never()) {
    PyErr_SetString(PyExc_RuntimeError,
                    "this result belongs to the process that made the pool, and never comes here: "
                    "get it there, and send it on");
    return -1;
  }
  while (!expired(deadline)) {
    Py_BEGIN_ALLOW_THREADS;
    const Deadline until = earlier(deadline, kSlice);
    std::this_thread::sleep_for(
        std::chrono::nanoseconds(until.at_ns - Deadline::in(std::chrono::nanoseconds(1)).at_ns));
    Py_END_ALLOW_THREADS;
    if (PyErr_CheckSignals() != 0) return -1;
  }
  return 0;
}

}  // namespace

namespace {
thread_local HandingIn* g_innermost;
}

HandingIn::HandingIn(PoolClient* client, Job* job)
    : client_(client),
      job_(Ref::borrow(reinterpret_cast<PyObject*>(job))),
      outer_(std::exchange(g_innermost, this)) {
  job->handed_in = true;
}

HandingIn::~HandingIn() {
  job_of(job_.get())->handed_in = false;
  g_innermost = outer_;
}

bool HandingIn::looks_for(const PoolClient* client, const Job* job, Until what) {
  for (const HandingIn* each = g_innermost; each != nullptr; each = each->outer_) {
    if (each->client_ != client) continue;
    if (what == Until::all_done) return true;
    if (job_of(each->job_.get()) != job) continue;
    if (what == Until::job_done) return true;
    const std::uint32_t sent = job->total - each->in_hand_;
    return (job->kind == JobKind::ordered ? job->given : job->received) >= sent;
  }
  return false;
}

bool is_ours(const PoolClient* client) { return client->owner->is_ours(); }

bool has_end_for_us(const PoolClient* client) {
  if (client->ended != nullptr) return !client->exiting || is_main_thread();
  return client->broken != nullptr;
}

bool collects_here(const PoolClient* client) {
  return client->baton && client->baton_thread == PyThread_get_thread_ident();
}

Baton::Baton(PoolClient* client) : client_(client), nested_(collects_here(client)) {
  client_->baton = true;
  client_->baton_thread = PyThread_get_thread_ident();
}

// A nested one leaves the baton to the frame below. Else those who have waited are told: one of
// them takes it.
Baton::~Baton() {
  if (nested_) return;
  client_->baton = false;
  if (client_->local_waiters > 0) notify(client_);
}

bool collects_elsewhere(const PoolClient* client) {
  return client->baton && !collects_here(client);
}

bool receive_interrupted(PoolClient* client) {
  while (!client->interrupted.empty()) {
    ByteMessage message(std::move(client->interrupted.front()));
    client->interrupted.pop_front();
    if (!receive(client, message, true)) return false;
  }
  return true;
}

bool receive(PoolClient* client, ByteMessage& message, bool again) try {
  ResultReader reader(message.bytes());
  if (!client->owner->note(reader.head())) {
    client->leaving = true;
    return true;
  }
  ++client->results;
  Chunk chunk;
  while (reader.next()) {
    if (receive_frame(client, reader, chunk, again)) continue;
    put_aside(client, message);
    return false;
  }
  return true;
} catch (const Error&) {
  client->owner->note_damage();  // ResultReader's; what decoding raises is its item's
  return client->hooks->restore();
}

// Those that are taken off again, where a task could not be sent, have no result in `have`.
std::uint32_t add_items(Job* job, std::uint32_t count) {
  const std::uint32_t first = job->total;
  job->total += count;
  if (job->total > job->have.size()) {
    job->have.resize(std::max<std::size_t>(job->total, job->have.size() * 2));
  }
  return first;
}

void settle(PoolClient* client, Job* job) {
  if (job->done || !job->all_submitted || job->received < job->total) return;
  if (job->input_error != nullptr) {
    // The last item of all: what was submitted has its results.
    Ref error(std::exchange(job->input_error, nullptr));
    deliver(client, job, add_items(job, 1), false, error.get());
    return;
  }
  const Ref held = take_out(client, job);
  if (!held) return;
  if (is_for_callbacks(client, job)) {
    job->wants_callback = true;
    add_due(client, Py_NewRef(held.get()));
    if (client->local_waiters > 0) notify(client);
    return;
  }
  job->done = true;
  if (client->local_waiters > 0) notify(client);
  // Its pool may end with it.
  Py_CLEAR(job->pool);
  Py_CLEAR(job->future);
}

Ref take_out(PoolClient* client, Job* job) {
  // One that was never entered, or that has ended by what was called meanwhile.
  const auto found = client->jobs.find(job->id);
  if (found == client->jobs.end()) return {};
  Ref held(found->second);
  client->jobs.erase(found);
  job->open = false;
  client->owner->forget(job->id);
  if (job->urgent) --client->urgent;
  return held;
}

void deliver(PoolClient* client, Job* job, std::uint32_t index, bool ok, PyObject* object) {
  if (!lacks(job, index)) return;
  job->have[index] = true;
  ++job->received;
  switch (job->kind) {
    case JobKind::call:
      if (ok) job->value = Py_NewRef(object);
      break;
    case JobKind::map:
      if (ok) PyList_SetItem(job->value, index, Py_NewRef(object));
      break;
    case JobKind::ordered:
      job->ahead.put(index, {ok, Ref::borrow(object)});
      break;
    case JobKind::unordered:
      job->ahead.put(job->received - 1, {ok, Ref::borrow(object)});
      break;
  }
  // An iterator raises its errors one by one, at their places; a call and a map raise the first.
  const bool iterates = job->kind == JobKind::ordered || job->kind == JobKind::unordered;
  if (!ok && !iterates && job->error == nullptr) job->error = Py_NewRef(object);
  if (iterates && client->local_waiters > 0) notify(client);
  settle(client, job);
}

// Where another thread collects it does so for all, and there is nothing to do here.
bool collect_ready(PoolClient* client) {
  if (collects_elsewhere(client) || !is_ours(client)) return true;
  const Baton baton(client);
  return drain(client, nullptr, Until::all_done);
}

// A program that is faster than its attendant would let the ring grow for as long as it submits.
bool collect_unread(PoolClient* client) {
  constexpr std::uint64_t kNowAndThen = 64;
  constexpr std::uint32_t kMostUnread = 1024;
  if (client->next_job % kNowAndThen != 0 || !is_ours(client)) return true;
  return client->pool().waiting_results() <= kMostUnread || collect_ready(client);
}

int collect_until(PoolClient* client, Job* job, Until what, Deadline deadline) {
  if (satisfied(client, job, what)) return 1;
  if (!is_ours(client)) return wait_in_vain(deadline);
  // A job that was left unfinished, see terminate(). Others' are left so.
  if (job != nullptr && client->ended != nullptr && has_end_for_us(client)) {
    fail(client, job, Ref::borrow(client->ended).get());
  }
  Waiting waiting(client, !deadline.is_poll());
  // What an executor's callback waits for may have one as well.
  const bool runs_callbacks =
      client->executor && client->callback_thread == PyThread_get_thread_ident();
  for (;;) {
    if (!client->has_attendant || runs_callbacks) run_callbacks(client);
    if (satisfied(client, job, what)) return 1;
    if (deadline.is_never() && HandingIn::has(client, job, what)) {
      PyErr_SetString(
          PyExc_RuntimeError,
          "this thread is handing in a task of this pool, and cannot wait for it before "
          "it has: neither a signal's handler nor an object that is pickled may do so");
      return -1;
    }
    const bool in_callbacks = awaits_callbacks(job);
    if (collects_elsewhere(client) || leaves_to_attendant(client) || is_ended_elsewhere(client) ||
        what == Until::threads_gone || in_callbacks || client->cancellers > 0) {
      if (expired(deadline)) return 0;
      if (in_callbacks) waiting.pause();  // they may be waiting for what the attendant does
      const bool good = wait_for_change(client, deadline);
      if (in_callbacks) waiting.resume();
      if (!good) return -1;
      continue;
    }
    {
      const Baton baton(client);
      if (!collect_step(client, job, what, deadline)) return -1;
    }
    if (satisfied(client, job, what)) return 1;
    if (expired(deadline)) return 0;
  }
}

void fail(PoolClient* client, Job* job, PyObject* error) {
  if (!job->open) return;
  if (!job->all_submitted) {
    // An iterator must not look complete: the rest of its input is one more item.
    (void)add_items(job, 1);
    job->all_submitted = true;
  }
  for (std::uint32_t i = 0; i < job->total; ++i) deliver(client, job, i, false, error);
  settle(client, job);
}

// Over a list of its own: each end takes a job out of the table, and may run code.
void fail_all(PoolClient* client, PyObject* error) {
  std::vector<Ref> jobs;
  jobs.reserve(client->jobs.size());
  for (const auto& [id, job] : client->jobs) jobs.push_back(Ref::borrow(job));
  for (const Ref& each : jobs) fail(client, job_of(each.get()), error);
}

}  // namespace forkful::python
