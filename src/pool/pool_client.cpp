#include <cstdio>
#include <forkful/detail/pool_client.hpp>
#include <forkful/errors.hpp>
#include <utility>

#include "pool/pool_state.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {
PoolClient::PoolClient(PoolPlan plan) : state_(std::make_unique<State>(std::move(plan))) {
  Lock lock(state_->mutex);
  state_->start_missing_workers();
  if (state_->broken) std::rethrow_exception(state_->broken);
}

PoolClient::~PoolClient() {
  if (!is_ours()) {
    // Why not destroyed: the parent's threads may have been waiting in it at the fork. A list keeps
    // it, so that leak checkers know it.
    state_->next_abandoned = State::abandoned;
    State::abandoned = state_.release();
    return;
  }
  terminate();
}

bool PoolClient::is_ours() const noexcept { return state_->owner == sync::self(); }

PoolClient::State& PoolClient::ours() const {
  if (!is_ours()) {
    throw Error("a Pool belongs to the process that made it; make another one in this process");
  }
  return *state_;
}

unsigned PoolClient::processes() const { return state_->plan.processes; }

std::vector<int> PoolClient::pids() const {
  State& state = ours();
  const Lock lock(state.mutex);
  std::vector<int> pids;
  pids.reserve(state.workers.size());
  for (const PoolWorker& worker : state.workers) pids.push_back(worker.process.pid());
  return pids;
}

void PoolClient::begin(const std::shared_ptr<Job>& job, std::uint32_t items) {
  State& state = ours();
  Lock lock(state.mutex);
  // Every call looks after the workers, or a pool that lost them all would wait for ever.
  (void)state.wait_until(lock, Deadline::poll(), [] { return false; });
  if (state.broken) std::rethrow_exception(state.broken);
  if (state.phase != State::Phase::open) throw Error("the pool was closed: it takes no more tasks");
  job->id_ = state.next_job++;
  job->missing_ = items;
  job->done_ = items == 0;
  if (items != 0) state.jobs.emplace(job->id_, job);
}

void PoolClient::submit(Job& job, std::uint32_t first, std::uint32_t count, Bytes payload) {
  ours().tasks.submit(
      {.job = job.id_, .first = first, .count = count, .start = 0, .flags = 0, .function = 0},
      {&payload, 1});
}

void PoolClient::forget(Job& job) {
  State& state = ours();
  const Lock lock(state.mutex);
  state.jobs.erase(job.id_);
}

bool PoolClient::cancel(Job& job) {
  State& state = ours();
  Lock lock(state.mutex);
  const Baton baton(state, lock);
  if (job.done_ || !state.cancellations.enter(job.id_)) return false;
  for (std::uint32_t slot = 0; slot < state.tasks.most_workers(); ++slot) {
    if (state.tasks.view(slot).job == job.id_) {
      state.cancellations.remove(job.id_);
      return false;
    }
  }
  state.drain();
  if (job.done_) return false;
  job.set_error(0, std::make_exception_ptr(Cancelled("the task was cancelled before it ran")));
  job.done_ = true;
  state.jobs.erase(job.id_);
  return true;
}

bool PoolClient::wait(Job& job, Deadline deadline) {
  State& state = ours();
  Lock lock(state.mutex);
  return state.wait_until(lock, deadline, [&] { return job.done_; });
}

bool PoolClient::done(Job& job) { return wait(job, Deadline::poll()); }

void PoolClient::close() {
  State& state = ours();
  const Lock lock(state.mutex);
  if (state.phase != State::Phase::open) return;
  state.phase = State::Phase::closed;
  state.tasks.close();
}

void PoolClient::terminate() {
  State& state = ours();
  Lock lock(state.mutex);
  state.phase = State::Phase::stopped;
  if (!state.jobs.empty()) {
    std::fprintf(stderr,
                 "forkful: a pool was stopped with %zu unfinished calls, which are cancelled\n",
                 state.jobs.size());
  }
  state.fail_jobs(std::make_exception_ptr(
      Cancelled("the pool was stopped before this call was done: close() and join() finish it")));
  const Baton baton(state, lock);
  state.end_workers(lock);
}

void PoolClient::join() {
  State& state = ours();
  Lock lock(state.mutex);
  if (state.phase == State::Phase::open) throw Error("join: close() or terminate() the pool first");
  (void)state.wait_until(lock, Deadline::never(), [&] { return state.jobs.empty(); });
  const Baton baton(state, lock);
  (void)state.await_workers(lock, Deadline::never());
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
