#include "pool/pool_state.hpp"

#include <algorithm>
#include <chrono>
#include <forkful/bytes/family.hpp>
#include <forkful/detail/exception.hpp>
#include <forkful/detail/task.hpp>
#include <forkful/errors.hpp>

#include "kernel/clock.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {
namespace {

using bytes::ByteQueue;
using bytes::TaskPool;

constexpr std::int64_t kLookEveryNs = std::chrono::nanoseconds(kLookEvery).count();
// Twice the workers: a place is taken again before the leaving worker's process has ended.
constexpr std::uint32_t kSlotsPerWorker = 2;

PoolPlan filled_in(PoolPlan plan) {
  if (plan.processes == 0) plan.processes = bytes::default_cpu_count();
  return plan;
}

}  // namespace

PoolClient::State::State(PoolPlan wanted)
    : plan(filled_in(std::move(wanted))),
      owner(sync::self()),
      tasks(TaskPool::create(plan.processes * kSlotsPerWorker)),
      cancellations(pool::Cancellations::create()) {
  for (std::uint32_t slot = tasks.most_workers(); slot > 0; --slot) free_slots_.push_back(slot - 1);
}

void PoolClient::State::pump(Lock& lock, Deadline until) {
  lock.unlock();
  Wait wait(soonest(until, Deadline::in(kLookEvery)));
  const auto got = tasks.next_result(message_, wait);
  lock.lock();
  if (got == ByteQueue::Got::received) {
    deliver(message_.bytes());
    drain();
  }
  if (kernel::monotonic_ns() - looked_ns_ >= kLookEveryNs) look_after_workers();
}

// Bounded, so that a thread whose result has come is not kept by others' results.
void PoolClient::State::drain() {
  constexpr int kMost = 256;
  for (int i = 0; i < kMost; ++i) {
    Wait poll(Deadline::poll());
    if (tasks.next_result(message_, poll) != ByteQueue::Got::received) return;
    deliver(message_.bytes());
  }
}

void PoolClient::State::deliver(bytes::Bytes message) {
  bytes::ResultReader results(message);
  if (results.head().kind == bytes::ResultKind::leaving) {
    for (PoolWorker& worker : workers) {
      if (worker.slot == results.head().worker) worker.leaving = true;
    }
    start_missing_workers();
    return;
  }
  early_deaths_ns_.clear();
  const auto found = jobs.find(results.head().job);
  if (found == jobs.end()) {
    cancellations.remove(results.head().job);
    return;
  }
  const std::shared_ptr<Job> job = found->second;
  while (results.next()) {
    if (results.status() == kValue) {
      job->set_value(results.index(), results.payload());
    } else {
      Reader from(results.payload());
      job->set_error(results.index(), read_exception(from));
    }
    finish_item(*job);
  }
}

void PoolClient::State::finish_item(Job& job) {
  if (--job.missing_ != 0) return;
  job.done_ = true;
  jobs.erase(job.id_);
}

void PoolClient::State::fail_jobs(const std::exception_ptr& error) {
  for (const auto& [id, job] : jobs) {
    job->set_error(0, error);
    job->done_ = true;
  }
  jobs.clear();
}

Baton::Baton(PoolClient::State& state, Lock& lock) : state_(state) {
  ++state_.baton_waiters;
  while (state_.draining) state_.changed.wait(lock);
  --state_.baton_waiters;
  state_.draining = true;
}

Baton::~Baton() {
  state_.draining = false;
  state_.changed.notify_all();
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
