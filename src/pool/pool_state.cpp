#include "pool/pool_state.hpp"

#include <algorithm>
#include <chrono>
#include <forkful/bytes/family.hpp>
#include <forkful/detail/exception.hpp>
#include <forkful/detail/task.hpp>
#include <forkful/errors.hpp>
#include <limits>
#include <vector>

#include "kernel/clock.hpp"
#include "kernel/process_info.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {
namespace {

using bytes::ByteQueue;
using bytes::TaskPool;

constexpr std::int64_t kLookEveryNs = std::chrono::nanoseconds(kLookEvery).count();
// Twice the workers: a place is taken again before the leaving worker's process has ended.
constexpr std::uint32_t kSlotsPerWorker = 2;

class Unlocked {
 public:
  explicit Unlocked(Lock& lock) : lock_(lock) { lock_.unlock(); }
  ~Unlocked() { lock_.lock(); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  Lock& lock_;
};

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
      owner(sync::self()),
      tasks(TaskPool::create(plan.processes * kSlotsPerWorker)),
      cancellations(pool::Cancellations::create()) {
  oom_kills_ = kernel::oom_kills();
  for (std::uint32_t slot = tasks.most_workers(); slot > 0; --slot) free_slots_.push_back(slot - 1);
}

void PoolClient::State::pump(Lock& lock, Deadline until) {
  const auto next_result = [&] {
    const Unlocked unlocked(lock);
    Wait wait(soonest(until, Deadline::in(kLookEvery)));
    return tasks.next_result(message_, wait);
  };
  const auto got = next_result();
  if (got == ByteQueue::Got::received) {
    deliver(message_.bytes());
    drain();
  }
  if (is_time_to_look()) look_after_workers();
}

bool PoolClient::State::is_time_to_look() const {
  return kernel::coarse_ns() - looked_ns_ >= kLookEveryNs;
}

// Bounded, so that a thread whose result has come is not kept by others' results.
void PoolClient::State::drain() {
  constexpr int kMost = 256;
  for (int i = 0; i < kMost && tasks.waiting_results() != 0; ++i) {
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
    if (!job->note_result(results.index())) continue;
    if (results.status() == kValue) {
      job->set_value(results.index(), results.payload());
    } else {
      job->set_error(results.index(), exception_in(results.payload()));
    }
    finish_item(job);
  }
}

void PoolClient::State::finish_item(const std::shared_ptr<Job>& job) {
  --job->missing_;
  if (job->followers_ && job->followers_->progress) {
    report_progress(job);
  } else if (job->missing_ == 0) {
    retire(job);
  }
}

void PoolClient::State::retire(const std::shared_ptr<Job>& job) {
  job->done_ = true;
  forget(*job);
  if (!job->followers_) return;
  for (const auto& watch : job->followers_->watches) watch->push(*job);
  for (auto& each : job->followers_->continuations) add_due(std::move(each));
  job->followers_->watches.clear();
  job->followers_->continuations.clear();
}

void PoolClient::State::forget(Job& job) {
  constexpr auto kNoTimeout = std::numeric_limits<std::int64_t>::max();
  if (jobs.erase(job.id_) == 0) return;
  if (job.attended_) --attended;
  if (job.timeout_ns_ != kNoTimeout) --timed;
}

// A local job whose callback runs already, and one whose progress is being told, end with that.
void PoolClient::State::fail_jobs(Failing which, const std::exception_ptr& error) {
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
