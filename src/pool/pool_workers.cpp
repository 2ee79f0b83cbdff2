// A pool's workers: starting, watching, burying and ending them.

#include <signal.h>

#include <algorithm>
#include <cstring>
#include <forkful/detail/code.hpp>
#include <forkful/errors.hpp>
#include <string>

#include "kernel/clock.hpp"
#include "kernel/process_info.hpp"
#include "pool/pool_state.hpp"
#include "pool/pool_worker.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

std::string how_it_ended(int exit_code) {
  if (exit_code >= 0) return "ended with exit code " + std::to_string(exit_code);
  return "was killed by signal " + std::to_string(-exit_code) + " (" + ::strsignal(-exit_code) +
         ")";
}

// As Python names them.
const char* worker_name(Context context) {
  switch (context) {
    case Context::fork:
      return "ForkPoolWorker-";
    case Context::forkserver:
      return "ForkServerPoolWorker-";
    default:
      return "SpawnPoolWorker-";
  }
}

}  // namespace

std::size_t PoolClient::State::active_workers() const {
  return static_cast<std::size_t>(std::count_if(workers.begin(), workers.end(),
                                                [](const auto& each) { return !each.leaving; }));
}

// A closed pool's workers leave by themselves; only a task that a death has put back needs one.
std::size_t PoolClient::State::wanted_workers() const {
  if (broken || phase == Phase::stopped) return 0;
  if (phase == Phase::open) return plan.processes;
  return std::min<std::size_t>(plan.processes, tasks.waiting_tasks());
}

void PoolClient::State::start_missing_workers() {
  while (active_workers() < wanted_workers() && !free_slots_.empty()) {
    try {
      start_worker();
    } catch (...) {
      // With others alive the work goes on, and the next look tries again.
      if (active_workers() == 0) break_with(std::current_exception());
      return;
    }
  }
}

void PoolClient::State::start_worker() {
  const std::uint32_t slot = free_slots_.back();
  Writer payload;
  payload.raw(pool::WorkerPlan{tasks.name(), cancellations.shared().name(), slot,
                               plan.max_tasks_per_child});
  payload.raw(plan.initializer != nullptr);
  if (plan.initializer != nullptr) {
    payload.raw(place_of(plan.initializer));
    payload.bytes(plan.initializer_payload.data(), plan.initializer_payload.size());
  }
  bytes::Carried carried = plan.carried;
  carried.shares.push_back(tasks);
  carried.shares.push_back(cancellations.shared());
  std::string name = worker_name(plan.context) + std::to_string(++named_);
  auto process =
      bytes::RawProcess::start({.pool_worker = true, .context = plan.context, .name = name},
                               pool::run_worker, payload.view(), carried);
  workers.push_back({slot, std::move(name), std::move(process)});
  free_slots_.pop_back();
}

void PoolClient::State::look_after_workers() {
  looked_ns_ = kernel::coarse_ns();
  if (timed > 0) end_late_tasks();
  // Each once: one that cannot be buried yet goes to the end of the list.
  for (std::size_t i = 0, left = workers.size(); left > 0 && i < workers.size(); --left) {
    const auto exit_code = workers[i].process.ended();
    if (!exit_code) {
      ++i;
      continue;
    }
    // Out of the list first: what bury() delivers may start others.
    PoolWorker ended = std::move(workers[i]);
    workers.erase(workers.begin() + static_cast<std::ptrdiff_t>(i));
    bury(ended, *exit_code);
  }
  start_missing_workers();
}

// A worker says what it runs, not since when: that is counted from when it was first seen.
void PoolClient::State::end_late_tasks() {
  using bytes::TaskPool;
  for (PoolWorker& worker : workers) {
    const auto view = tasks.view(worker.slot);
    if (view.state != TaskPool::WorkerState::busy) continue;
    if (view.job != worker.seen_job) {
      worker.seen_job = view.job;
      worker.seen_since_ns = looked_ns_;
    }
    const auto found = jobs.find(view.job);
    if (found == jobs.end() || found->second->timed_out_ ||
        looked_ns_ - worker.seen_since_ns < found->second->timeout_ns_ ||
        !tasks.condemn(worker.slot, view.job)) {
      continue;
    }
    found->second->timed_out_ = true;
    worker.process.send_signal(SIGKILL);
  }
}

// Why an item has no result, for who called.
std::exception_ptr PoolClient::State::loss_of(const PoolWorker& worker, int exit_code,
                                              const Job& job, std::uint32_t item) {
  const std::string who =
      "the worker " + worker.name + " (pid " + std::to_string(worker.process.pid()) + ") ";
  if (job.timed_out_) {
    return std::make_exception_ptr(TimeoutError(
        "the task ran longer than it may, " + std::to_string(job.timeout_ns_ / 1'000'000) +
        " ms; " + who + "that ran it was killed and is replaced"));
  }
  std::string what = who + how_it_ended(exit_code) + " while it ran item " + std::to_string(item) +
                     " of a call; the pool goes on without it";
  if (exit_code == -SIGKILL) {
    const std::uint64_t kills = kernel::oom_kills();
    if (kills > oom_kills_) {
      what += ". Memory was short: the kernel has killed " + std::to_string(kills - oom_kills_) +
              " processes of this cgroup for that meanwhile (memory.events: oom_kill " +
              std::to_string(kills) + ")";
    }
    oom_kills_ = kills;
  }
  return std::make_exception_ptr(WorkerDied(
      what, worker.process.pid(), exit_code < 0 ? -exit_code : 0, exit_code < 0 ? -1 : exit_code));
}

// Keeps what the worker has handed in, fails the item it was running, and lets others do the rest.
void PoolClient::State::bury(PoolWorker& worker, int exit_code) {
  using bytes::ByteQueue;
  using bytes::TaskPool;
  tasks.finish_commits();
  for (;;) {
    Wait poll(Deadline::poll());
    if (tasks.next_result(message_, poll) != ByteQueue::Got::received) break;
    deliver(message_.bytes());
  }
  const bool never_ready = tasks.view(worker.slot).state == TaskPool::WorkerState::none;
  TaskPool::Lost lost;
  try {
    tasks.recover(worker.slot, lost);
  } catch (const OsError&) {
    workers.push_back(std::move(worker));  // no memory to queue the rest again: at the next look
    return;
  }
  worker.process.give_back();
  tasks.clear_worker(worker.slot);
  free_slots_.push_back(worker.slot);
  if (lost.claimed && lost.done > 0) deliver(lost.results.bytes());
  if (lost.claimed && lost.running) {
    const std::uint32_t item = lost.task.first + lost.task.start + lost.done;
    const auto found = jobs.find(lost.task.job);
    if (found != jobs.end()) {
      const std::shared_ptr<Job> job = found->second;
      if (job->note_result(item)) {
        job->set_error(item, loss_of(worker, exit_code, *job, item));
        finish_item(job);
      }
    }
  }
  if (never_ready) note_early_death(exit_code);
}

// Workers that end before they are ready for tasks would be replaced for ever. A result in between
// shows that others do start.
void PoolClient::State::note_early_death(int exit_code) {
  // SIGKILL comes from outside: a chance hit, or an OOM killer that strikes again and again.
  constexpr std::size_t kMostOwn = 5;
  constexpr std::size_t kMostKilled = 25;
  constexpr std::int64_t kWithinNs = 10 * kSecondNs;
  const std::int64_t now_ns = kernel::monotonic_ns();
  early_deaths_ns_.push_back(now_ns);
  while (now_ns - early_deaths_ns_.front() > kWithinNs) early_deaths_ns_.pop_front();
  const std::size_t deaths = early_deaths_ns_.size();
  if (deaths < (exit_code == -SIGKILL ? kMostKilled : kMostOwn)) return;
  break_with(std::make_exception_ptr(WorkerDied(
      std::to_string(deaths) +
          " workers in a row ended before they were ready for a task (the last one " +
          how_it_ended(exit_code) +
          "), so no more are started; stderr shows what they died of, an initializer for example",
      0, exit_code < 0 ? -exit_code : 0, exit_code < 0 ? -1 : exit_code)));
}

void PoolClient::State::break_with(const std::exception_ptr& error) {
  broken = error;
  fail_jobs(Failing::calls, error);
}

bool PoolClient::State::await_workers(Lock& lock, Deadline until, const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kSlice(5);
  for (;;) {
    look_after_workers();
    if (workers.empty()) return true;
    if (is_past(until) || stop.stop_requested()) return false;
    bytes::RawProcess& first = workers.front().process;
    lock.unlock();
    const Deadline slice = Deadline::in(kSlice);
    Wait wait(until.at_ns < slice.at_ns ? until : slice);
    (void)first.await_end(wait);
    lock.lock();
  }
}

void PoolClient::State::end_workers(Lock& lock) {
  using std::chrono::milliseconds;
  struct Stage {
    int signal;
    milliseconds grace;
  };
  // The idle leave at once; the busy are asked, then not asked any more.
  constexpr Stage kStages[] = {{0, milliseconds(50)}, {SIGTERM, milliseconds(1000)}};
  tasks.stop();
  for (const Stage& stage : kStages) {
    for (PoolWorker& worker : workers) {
      if (stage.signal != 0) worker.process.send_signal(stage.signal);
    }
    if (await_workers(lock, Deadline::in(stage.grace))) return;
  }
  for (PoolWorker& worker : workers) worker.process.send_signal(SIGKILL);
  (void)await_workers(lock, Deadline::never());
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
