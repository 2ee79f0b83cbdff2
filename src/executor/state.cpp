// The part of a C++ pool's client that takes results from the ring and gives them to their jobs.
// state.hpp has the locking; Python's counterpart is python/bindings/pool_collect.cpp.
#include "executor/state.hpp"

#include <algorithm>
#include <chrono>
#include <forkful/bytes/family.hpp>
#include <forkful/detail/calls/exception.hpp>
#include <forkful/detail/executor/task.hpp>
#include <forkful/errors.hpp>
#include <limits>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace detail {
namespace {

using bytes::ByteMessage;
using bytes::ByteQueue;
using bytes::ResultReader;

// How long idle workers have to leave by themselves when the pool is stopped. A guess: enough for
// what they have registered with atexit(), and not noticed by anybody.
constexpr std::chrono::milliseconds kIdleGrace(50);

// Where the bytes are no exception, what reading them throws is the item's: it must have a result,
// or its call would wait for ever.
std::exception_ptr exception_in(bytes::Bytes payload) {
  try {
    Reader from(payload);
    return read_exception(from);
  } catch (...) {
    return std::current_exception();
  }
}

PoolPlan filled_in(PoolPlan plan) {
  if (plan.processes == 0) plan.processes = bytes::default_cpu_count();
  return plan;
}

}  // namespace

PoolClient::State::State(PoolPlan wanted)
    : plan(filled_in(std::move(wanted))),
      owner(plan.processes, kIdleGrace, *this),
      cancellations(bytes::Cancellations::create()),
      untold(plan.initializer != nullptr ? bytes::RawSemaphore::create(1, 1)
                                         : bytes::RawSemaphore()),
      processes_(owner.tasks().most_workers()) {}

void PoolClient::State::pump(Deadline until) {
  // Before the wait and not after the look that found the vacancy: see PoolOwner::has_vacancy().
  if (owner.has_vacancy()) owner.start_missing();
  ByteMessage message;
  const bool came = next_result(message, soonest(until, Deadline::in(kLookEvery)));
  if (came) take_results(message);
  // A slice without a result took kLookEvery, so it is time to look, whatever the clock of
  // is_time_to_look() says, which may be 10 ms coarse.
  if ((!came && !until.is_poll()) || owner.is_time_to_look()) owner.look();
}

namespace {

// How many results are left in a message, of a job that nobody awaits: they are not decoded.
std::uint32_t items_in(ResultReader& results) {
  std::uint32_t items = 0;
  while (results.next()) ++items;
  return items;
}

}  // namespace

bool PoolClient::State::next_result(ByteMessage& into, Deadline until) {
  // Without the mutex: it may sleep, and even a look waits a moment for a lock that a worker has.
  const Unlocked unlocked(mutex);
  return take(into, until);
}

bool PoolClient::State::take(ByteMessage& into, Deadline until) {
  Wait wait(until);
  if (owner.tasks().next_result(into, wait) != ByteQueue::Got::received) return false;
  ++taken;
  return true;
}

void PoolClient::State::drain() {
  ByteMessage message;
  if (owner.tasks().waiting_results() != 0 && next_result(message, Deadline::poll())) {
    take_results(message);
  }
}

// By count, since workers may add more as fast as they are taken.
bool PoolClient::State::drain_present() {
  const std::uint64_t present = taken + owner.tasks().waiting_results();
  while (taken < present) {
    const std::uint64_t before = taken;
    drain();
    if (taken == before) return false;
  }
  return true;
}

// Ends also when a step has taken nothing, or it would go round for ever.
void PoolClient::State::drain_all() {
  for (std::uint32_t before = 0; (before = owner.tasks().waiting_results()) != 0;) {
    drain();
    if (owner.tasks().waiting_results() == before) return;
  }
}

// Gives `message` to its job, and what is in the ring after it. Bounded, so that a thread
// whose result has come is not kept by others' results. The mutex is let go once for a row of
// results of one job: whoever has the baton is the only one that gives a job results.
void PoolClient::State::take_results(ByteMessage& message) try {
  // A guess: some 100 us of small results.
  constexpr int kMost = 256;
  const std::uint64_t most = taken + kMost;
  for (bool more = true; more;) {
    std::optional<ResultReader> results(message.bytes());
    const std::uint64_t id = results->head().job;
    const bool for_job = owner.note(results->head());
    if (!for_job) owner.start_missing();
    // A share of our own: without the mutex another thread may forget the job.
    const auto found = jobs.find(id);
    const std::shared_ptr<Job> job = found != jobs.end() ? found->second : nullptr;
    if (for_job && !job) note_gone(id, items_in(*results));
    std::uint32_t arrived = 0;
    {
      const Unlocked unlocked(mutex);
      for (bool same = true; same;) {
        // Decoding runs the program's code, which may call the pool: so without the mutex.
        while (job && results->next()) arrived += job->take(*results, exception_in) ? 1 : 0;
        more =
            taken < most && owner.tasks().waiting_results() != 0 && take(message, Deadline::poll());
        if (!more) break;
        results.emplace(message.bytes());
        same = job && results->head().job == id && arrived < job->missing_;
      }
    }
    // Done already, where what was decoded has cancelled the job or ended the pool.
    if (job && arrived > 0 && !job->done_) finish_items(job, arrived);
  }
} catch (const Error&) {
  owner.note_damage();  // ResultReader's; what decoding throws is its item's
}

// As take_results(), of what a dead worker has left: that is one message, which never was in the
// ring.
void PoolClient::State::deliver(ByteMessage& message) {
  ResultReader results(message.bytes());
  const auto found = jobs.find(results.head().job);
  if (found == jobs.end()) {
    note_gone(results.head().job, items_in(results));
    return;
  }
  const std::shared_ptr<Job> job = found->second;
  std::uint32_t arrived = 0;
  {
    const Unlocked unlocked(mutex);
    while (results.next()) arrived += job->take(results, exception_in) ? 1 : 0;
  }
  if (arrived > 0 && !job->done_) finish_items(job, arrived);
}

void PoolClient::State::note_gone(std::uint64_t id, std::uint32_t items) {
  const auto found = cancelled.find(id);
  if (found == cancelled.end()) return;
  if (items < found->second) {
    found->second -= items;
    return;
  }
  cancelled.erase(found);
  cancellations.remove(id);
}

void PoolClient::State::finish_items(const std::shared_ptr<Job>& job, std::uint32_t items) {
  // None is missing where the job has failed meanwhile, and its progress is just being told: see
  // fail_jobs().
  job->missing_ -= std::min(items, job->missing_);
  if (job->followers_ && job->followers_->progress) {
    report_progress(job);
  } else if (job->missing_ == 0) {
    retire(job);
  }
}

void PoolClient::State::retire(const std::shared_ptr<Job>& job) {
  // First, so that what is pushed or due below finds a job that is done.
  job->done_ = true;
  forget(*job);
  if (!job->followers_) return;
  for (const auto& ended : job->followers_->ended) ended->push(*job);
  for (auto& each : job->followers_->continuations) add_due(std::move(each));
  job->followers_->ended.clear();
  job->followers_->continuations.clear();
}

void PoolClient::State::forget(Job& job) {
  if (jobs.erase(job.id_) == 0) return;
  if (job.attended_) --attended;
  owner.forget(job.id_);
}

// A local job whose callback runs already is left alone, and one whose progress is just being told
// is not retired here: run_next() and run_progress() retire them when that call returns. With
// Failing::calls no local job fails, since its callback hears of its call's failure.
void PoolClient::State::fail_jobs(Failing which, const std::exception_ptr& error) {
  // A copy, since retire() takes jobs out of the table.
  std::vector<std::shared_ptr<Job>> failing;
  failing.reserve(jobs.size());
  for (const auto& [id, job] : jobs) failing.push_back(job);
  for (const auto& job : failing) {
    if (job->local_ && (job->begun_ || which == Failing::calls)) continue;
    job->set_error(0, error);
    job->missing_ = 0;
    if (job->followers_ && job->followers_->progress_runs) continue;
    retire(job);
  }
}

// Whoever waits for the baton comes before those that only wait for a result (see may_collect()),
// or these would hand it to one another for ever.
Baton::Baton(PoolClient::State& state, Guard& lock)
    : state_(state), nested_(state.collects_here()) {
  if (nested_) return;
  ++state.baton_waiters;
  while (state.draining) state.changed.wait(lock);
  --state.baton_waiters;
  state.draining = true;
  state.drainer = std::this_thread::get_id();
}

Baton::~Baton() {
  if (nested_) return;
  state_.draining = false;
  // All: some wait for the baton and some for results, and the condition does not tell which.
  state_.changed.notify_all();
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
