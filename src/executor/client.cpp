// What a C++ pool is asked for: its life, calls, cancellations, waits. Each call locks the client's
// mutex; state.hpp has the rules, and pool_client.hpp what each call promises.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <forkful/detail/executor/pool_client.hpp>
#include <forkful/errors.hpp>
#include <stdexcept>
#include <utility>

#include "executor/state.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {
// The first workers are started here, so that a pool whose workers cannot be started throws where
// it is made.
PoolClient::PoolClient(PoolPlan plan) : state_(std::make_unique<State>(std::move(plan))) {
  State& state = *state_;
  Guard lock(state.mutex);
  const Baton baton(state, lock);
  state.owner.start_missing();
  if (state.broken) std::rethrow_exception(state.broken);
}

PoolClient::~PoolClient() {
  if (!is_ours()) {
    // Why not destroyed: the parent's threads may have been waiting in it at the fork. A list keeps
    // it, so that leak checkers know it.
    State* const let_go = state_.release();
    let_go->next_abandoned = State::abandoned.exchange(let_go);
    return;
  }
  end();
}

bool PoolClient::is_ours() const noexcept { return state_->owner.is_ours(); }

PoolClient::State& PoolClient::ours() const {
  if (!is_ours()) {
    throw Error("a Pool belongs to the process that made it; make another one in this process");
  }
  return *state_;
}

unsigned PoolClient::processes() const { return state_->plan.processes; }

std::vector<int> PoolClient::pids() const {
  State& state = ours();
  const Guard lock(state.mutex);
  return state.pids();
}

void PoolClient::begin(const std::shared_ptr<Job>& job, std::uint32_t items, Attention attention) {
  State& state = ours();
  const bool timed = attention.timeout != Duration::endless();
  if (timed && attention.timeout.span().count() < 0) {
    throw std::invalid_argument("the time-out of a call must be a duration of 0 or more");
  }
  Guard lock(state.mutex);
  // Every call looks after the workers, or a pool that lost them all would wait for ever.
  if (state.owner.is_time_to_look()) {
    (void)state.wait_until(lock, Deadline::poll(), [] { return false; });
  }
  if (state.broken) std::rethrow_exception(state.broken);
  if (state.owner.phase() != PoolOwner::Phase::open)
    throw Error("the pool was closed or terminated and takes no more tasks: make a new one");
  if (attention.progress && state.in_callback()) {
    throw Error("a callback cannot be told the progress of a map: that is a callback itself");
  }
  if (attention.progress) state.start_callbacks();
  job->id_ = state.next_job++;
  job->missing_ = items;
  // One item has a flag of its own (has_one_), which needs no memory from the heap.
  if (items > 1) job->have_.resize(items);
  job->done_ = items == 0;
  if (items == 0) return;
  // Before its first task is submitted, or a result could come of a job that nobody knows.
  state.jobs.emplace(job->id_, job);
  if (timed) {
    state.owner.limit(job->id_, attention.timeout.span());
  }
  if (attention.progress) {
    job->followers().progress = std::move(attention.progress);
    job->followers().total = items;
  }
  // What no waiting thread can be relied on for: a late task is killed and progress is told even if
  // nobody waits.
  if (timed || job->followers_) state.attend(*job);
  if (!attention.awaited) state.rouse_attendant();
}

void PoolClient::submit(Job& job, std::uint32_t first, std::uint32_t count, Bytes payload,
                        bytes::Shares shares) {
  // Results that nobody asks for are taken out of the ring now and then, or it would grow as long
  // as the submitter is faster than the attendant.
  // Both are guesses: a look takes a cache line from the workers, and a thousand small results are
  // some 64 KiB.
  constexpr std::uint32_t kNowAndThen = 64;
  constexpr std::uint32_t kMostUnread = 1024;
  State& state = ours();
  const bytes::TaskPool& tasks = state.owner.tasks();
  if (state.submitted.fetch_add(1, std::memory_order_relaxed) % kNowAndThen == 0 &&
      tasks.waiting_results() > kMostUnread) {
    Guard lock(state.mutex);
    (void)state.wait_until(lock, Deadline::poll(), [] { return false; });
  }
  // Without the mutex: any thread may submit, and the ring has locks of its own. A pool that was
  // stopped since begin() has failed the job already, and nobody takes the task.
  tasks.submit(
      {.job = job.id_, .first = first, .count = count, .start = 0, .flags = 0, .function = 0},
      {&payload, 1}, shares);
}

void PoolClient::forget(Job& job) {
  State& state = ours();
  Guard lock(state.mutex);
  state.forget(job);
  if (!job.followers_ || state.in_callback()) return;
  // What the progress function refers to may be the caller's, which ends after this.
  while (job.followers_->progress_runs) state.changed.wait(lock);
}

bool PoolClient::cancel(Job& job) {
  State& state = ours();
  Guard lock(state.mutex);
  const auto found = state.jobs.find(job.id_);
  if (found == state.jobs.end()) return false;
  const std::shared_ptr<Job> kept = found->second;
  const auto cancelled = [&] {
    state.mutex.assume_held();
    job.set_error(0, std::make_exception_ptr(Cancelled("the task was cancelled before it ran")));
    state.retire(kept);
    state.changed.notify_all();
    return true;
  };
  // A callback that has not begun: run_next() finds the job done, and drops it.
  if (job.local_) return !job.begun_ && cancelled();
  // With the baton nobody else gives the job a result. The wait for it lets the mutex go, so
  // whether it is done is asked after that.
  const Baton baton(state, lock);
  if (job.done_ || job.has_any() || !state.cancellations.ask(job.id_)) return false;
  // Asked first and then looked, at the workers and then for results: see cancellations.hpp.
  const bool claimed = state.owner.tasks().is_claimed(job.id_);
  if (claimed || !state.drain_present() || job.done_ || job.has_any()) {
    state.cancellations.remove(job.id_);
    return false;
  }
  if (!state.cancellations.cancel(job.id_)) return false;
  // Its tasks stay in the ring, and its place in the list until a worker has refused each of them.
  state.cancelled.emplace(job.id_, job.missing_);
  return cancelled();
}

void PoolClient::drop(Job& job) {
  State& state = ours();
  {
    Guard lock(state.mutex);
    // With the baton no result is on its way to the job, and `missing_` counts what is to come.
    // Where that is in this thread's hands, further up its stack, nothing is refused.
    const bool decodes = state.collects_here();
    const Baton baton(state, lock);
    if (!decodes && state.jobs.contains(job.id_) && state.cancellations.cancel_rest(job.id_)) {
      state.cancelled.emplace(job.id_, job.missing_);
    }
  }
  forget(job);
}

void PoolClient::cancel_waiting() {
  State& state = ours();
  Guard lock(state.mutex);
  const Baton baton(state, lock);
  const auto error =
      std::make_exception_ptr(Cancelled("this call was cancelled before a worker began it"));
  // With the baton, since it gives items their results, which nobody may do beside another. A task
  // that was queued again after a death begins at `start`; the items before it have theirs.
  for (bytes::TaskHead task{}; state.owner.tasks().take_back(task);) {
    const auto found = state.jobs.find(task.job);
    if (found == state.jobs.end()) {
      state.note_gone(task.job, task.count - task.start);
      continue;
    }
    const std::shared_ptr<Job> job = found->second;
    for (std::uint32_t item = task.start; item < task.count; ++item) {
      if (!job->note_result(task.first + item)) continue;
      job->set_error(task.first + item, error);
      state.finish_items(job, 1);
    }
  }
}

void PoolClient::follow(Job& source, std::unique_ptr<Callback> callback,
                        const std::shared_ptr<Job>& result) {
  State& state = ours();
  const Guard lock(state.mutex);
  if (state.owner.phase() == PoolOwner::Phase::stopped || state.threads_end) {
    throw Error("the pool was stopped or joined: its callbacks run no more");
  }
  state.start_callbacks();
  // A job like others, so that its Future can be waited for, cancelled and followed in turn.
  result->local_ = true;
  result->id_ = state.next_job++;
  result->missing_ = 1;
  state.jobs.emplace(result->id_, result);
  // Under the mutex that retire() has: the source cannot end between the look and the entry.
  if (source.done_) {
    state.add_due({std::move(callback), result});
  } else {
    source.followers().continuations.push_back({std::move(callback), result});
    state.attend(source);
  }
}

void PoolClient::watch(Job& job, const std::shared_ptr<EndedJobs>& into) {
  State& state = ours();
  const Guard lock(state.mutex);
  if (job.done_) {
    into->push(job);
  } else {
    job.followers().ended.push_back(into);
  }
}

bool PoolClient::wait(Job& job, Deadline deadline, const std::stop_token& stop) {
  State& state = ours();
  Guard lock(state.mutex);
  // It would wait for its own thread.
  if (job.local_ && !job.done_ && deadline.is_never() && state.in_callback()) {
    throw Error("a callback cannot wait for another one: they run one after the other");
  }
  return state.wait_until(lock, deadline, stop, [&] { return job.done_; });
}

bool PoolClient::done(Job& job) { return wait(job, Deadline::poll()); }

// Jobs of other clients end without a word to this one, so whoever waits for several clients comes
// with a deadline close by: see Awaited::next().
bool PoolClient::wait(const EndedJobs& ended, Deadline deadline) {
  State& state = ours();
  Guard lock(state.mutex);
  return state.wait_until(lock, deadline, [&] { return !ended.empty(); });
}

void PoolClient::close() {
  State& state = ours();
  const Guard lock(state.mutex);
  if (state.owner.phase() == PoolOwner::Phase::open) state.owner.let_go();
}

void PoolClient::finish_unattended() {
  State& state = ours();
  const Guard lock(state.mutex);
  state.unattended = true;
  state.start_attendant();
  state.attendant_changed.notify_one();
}

void PoolClient::terminate() {
  State& state = ours();
  Guard lock(state.mutex);
  // First of all, and without the baton: a stopped worker may have a lock that the collecting
  // thread waits for.
  state.end_workers();
  {
    // Whoever has the baton does not wait for a worker any more, since all have ended.
    const Baton baton(state, lock);
    // What dead workers had ready first, and then what they had handed in: both are kept.
    state.owner.bury_all();
    state.drain_all();
    const auto calls = std::count_if(state.jobs.begin(), state.jobs.end(),
                                     [](const auto& each) { return !each.second->local_; });
    if (calls != 0) {
      std::fprintf(stderr,
                   "forkful: a pool was stopped with %td unfinished calls, which are cancelled\n",
                   calls);
    }
    state.fail_jobs(
        State::Failing::all,
        std::make_exception_ptr(Cancelled(
            "the pool was stopped before this call was done: close() and join() finish it")));
  }
  // Last, since callbacks that are due now are dropped in their own thread.
  state.end_threads(lock);
}

void PoolClient::end() {
  state_->require_no_callback();
  terminate();
}

void PoolClient::finish() {
  state_->require_no_callback();
  close();
  (void)join(Deadline::never());
}

bool PoolClient::join(Deadline deadline, const std::stop_token& stop) {
  State& state = ours();
  Guard lock(state.mutex);
  if (state.owner.phase() == PoolOwner::Phase::open)
    throw Error("join: close() or terminate() the pool first");
  if (state.in_callback()) throw Error("join: a callback of this pool cannot wait for its end");
  const auto all_done = [&] {
    state.mutex.assume_held();
    return state.jobs.empty();
  };
  if (!state.wait_until(lock, deadline, stop, all_done)) return false;
  {
    const Baton baton(state, lock);
    if (!state.await_workers(deadline, stop)) return false;
  }
  state.end_threads(lock);
  return true;
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
