// Collecting results: the baton, and what a result does to its job.
#include "pool_client.hpp"

namespace forkful::python {
namespace {

using bytes::ByteMessage;
using bytes::ByteQueue;
using bytes::ResultKind;
using bytes::ResultReader;

constexpr std::chrono::milliseconds kSlice{20};

bool satisfied(const PoolClient* client, const Job* job, bool for_next) {
  if (job == nullptr && for_next) return !client->finished.empty() || client->callbacks_stopped;
  if (job == nullptr) return client->jobs.empty() && client->finished.empty();
  if (!for_next) return job->done;
  if (job->kind == JobKind::unordered ? !job->ready.empty() : job->waiting.contains(job->given)) {
    return true;
  }
  return job->done && job->given == job->total;
}

// Whether a job has its results and its callbacks are still to run, in their own thread.
bool awaits_callbacks(const PoolClient* client, const Job* job) {
  return job != nullptr && job->wants_callback && job->id != 0 && !client->jobs.contains(job->id);
}

// Returns the KeyboardInterrupt that came in between, which is the caller's as well.
Ref receive_frame(PoolClient* client, const ResultReader& reader) {
  const auto found = client->jobs.find(reader.head().job);
  if (found == client->jobs.end()) return {};  // nobody waits for it any more
  Ref keep = Ref::borrow(found->second);
  bytes::Bytes payload = reader.payload();
  bool ok = reader.status() == kValue;
  Ref object;
  if (ok) {
    object = Ref(decode(payload));
  } else {
    object = Ref(PyObject_CallFunction(client->decode_error, "y#",
                                       reinterpret_cast<const char*>(payload.data()),
                                       static_cast<Py_ssize_t>(payload.size())));
  }
  bool interrupted = false;
  if (!object) {
    // Whatever unpickling raised, SystemExit included, belongs to this item.
    ok = false;
    interrupted = is_main_thread() && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    object = take_error();
  }
  deliver(client, job_of(keep.get()), reader.index(), ok, object.get());
  return interrupted ? std::move(object) : Ref();
}

bool maintain(PoolClient* client) {
  if (client->maintaining) return true;
  client->maintaining = true;
  client->leaving = false;
  Ref done(PyObject_CallNoArgs(client->maintain));
  client->maintaining = false;
  return bool(done);
}

// Reads everything that is there. Requires: the baton.
bool drain(PoolClient* client, const Job* job, bool for_next) {
  constexpr int kBeforeOthers = 256;
  ByteMessage message;
  for (int count = 1;; ++count) {
    // A signal's exception raised while decoding would be taken for the result's.
    if (PyErr_CheckSignals() != 0) return false;
    GilWait poll(Deadline::poll());
    const auto got = client->pool.next_result(message, poll);
    if (got == ByteQueue::Got::interrupted) return false;
    if (got != ByteQueue::Got::received) break;
    if (!receive(client, message)) return false;
    if (satisfied(client, job, for_next)) break;
    if (count % kBeforeOthers == 0) {
      Py_BEGIN_ALLOW_THREADS;
      Py_END_ALLOW_THREADS;
    }
  }
  return !client->leaving || maintain(client);
}

Deadline earlier(Deadline deadline, std::chrono::milliseconds most = kSlice) {
  const Deadline slice = Deadline::in(most);
  return slice.at_ns < deadline.at_ns ? slice : deadline;
}

bool expired(Deadline deadline) {
  return deadline.is_poll() ||
         (!deadline.is_never() && Deadline::in(std::chrono::nanoseconds(1)).at_ns > deadline.at_ns);
}

// One step with the baton: sleeps until a result comes or a slice is over.
bool collect_step(PoolClient* client, const Job* job, bool for_next, Deadline deadline) {
  if (!drain(client, job, for_next)) return false;
  if (satisfied(client, job, for_next) || awaits_callbacks(client, job)) return true;
  ByteMessage message;
  GilWait wait(earlier(deadline));
  switch (client->pool.next_result(message, wait)) {
    case ByteQueue::Got::received:
      return receive(client, message) && (!client->leaving || maintain(client));
    case ByteQueue::Got::interrupted:
      return false;
    default:
      return maintain(client);
  }
}

// Somebody else collects: waits until something changes, or a slice is over.
bool wait_for_change(PoolClient* client, Deadline deadline,
                     std::chrono::milliseconds most = kSlice) {
  const std::uint64_t seen = client->local->changes;
  const Deadline until = earlier(deadline, most);
  ++client->local_waiters;
  Py_BEGIN_ALLOW_THREADS;
  {
    const auto left =
        std::chrono::nanoseconds(until.at_ns - Deadline::in(std::chrono::nanoseconds(1)).at_ns);
    std::unique_lock lock(client->local->mutex);
    client->local->changed.wait_for(lock, left, [&] { return client->local->changes != seen; });
  }
  Py_END_ALLOW_THREADS;
  --client->local_waiters;
  return PyErr_CheckSignals() == 0;
}

class Baton {
 public:
  explicit Baton(PoolClient* client) : client_(client) { client_->baton = true; }
  ~Baton() {
    client_->baton = false;
    if (client_->local_waiters > 0) notify(client_);
  }
  Baton(const Baton&) = delete;
  Baton& operator=(const Baton&) = delete;

 private:
  PoolClient* client_;
};

}  // namespace

bool receive(PoolClient* client, const ByteMessage& message) {
  ResultReader reader(message.bytes());
  if (reader.head().kind == ResultKind::leaving) {
    client->leaving = true;
    return true;
  }
  Ref interrupt;
  while (reader.next()) {
    if (Ref one = receive_frame(client, reader)) interrupt = std::move(one);
  }
  if (interrupt) PyErr_SetObject(PyExc_KeyboardInterrupt, interrupt.get());
  return !interrupt;
}

void notify(PoolClient* client) {
  {
    const std::lock_guard lock(client->local->mutex);
    ++client->local->changes;
  }
  client->local->changed.notify_all();
}

void settle(PoolClient* client, Job* job) {
  if (job->done || !job->all_submitted || job->received < job->total) return;
  const auto found = client->jobs.find(job->id);
  if (found == client->jobs.end()) return;
  PyObject* held = found->second;
  client->jobs.erase(found);
  if (job->wants_callback && !client->callbacks_stopped) {
    client->finished.push_back(held);
    if (client->local_waiters > 0) notify(client);
    return;
  }
  job->done = true;
  if (client->local_waiters > 0) notify(client);
  // Its pool may end with it.
  Py_CLEAR(job->pool);
  Py_DECREF(held);
}

void deliver(PoolClient* client, Job* job, std::uint32_t index, bool ok, PyObject* object) {
  if (index >= job->total || job->have[index]) return;
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
      job->waiting.emplace(index, Job::Item{ok, Ref::borrow(object)});
      break;
    case JobKind::unordered:
      job->ready.push_back({ok, Ref::borrow(object)});
      break;
  }
  const bool iterates = job->kind == JobKind::ordered || job->kind == JobKind::unordered;
  if (!ok && !iterates && job->error == nullptr) job->error = Py_NewRef(object);
  if (iterates && client->local_waiters > 0) notify(client);
  settle(client, job);
}

bool collect_ready(PoolClient* client) {
  if (client->baton) return true;
  const Baton baton(client);
  return drain(client, nullptr, false);
}

int collect_until(PoolClient* client, Job* job, bool for_next, Deadline deadline) {
  for (;;) {
    if (satisfied(client, job, for_next)) return 1;
    if (client->baton || awaits_callbacks(client, job)) {
      if (expired(deadline)) return 0;
      if (!wait_for_change(client, deadline)) return -1;
      continue;
    }
    {
      const Baton baton(client);
      if (!collect_step(client, job, for_next, deadline)) return -1;
    }
    if (satisfied(client, job, for_next)) return 1;
    if (expired(deadline)) return 0;
  }
}

int await_finished(PoolClient* client) {
  constexpr std::chrono::milliseconds kIdle{500};
  for (;;) {
    if (!client->finished.empty()) return 1;
    if (client->callbacks_stopped) return 0;
    if (client->baton || client->jobs.empty()) {
      if (!wait_for_change(client, Deadline::never(), kIdle)) return -1;
      continue;
    }
    const Baton baton(client);
    if (!collect_step(client, nullptr, true, Deadline::never())) return -1;
  }
}

}  // namespace forkful::python
