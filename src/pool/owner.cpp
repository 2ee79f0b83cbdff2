// The rules about a pool's workers, for both languages; pool_owner.hpp has the states of a slot,
// and TASK.md what a worker's death leaves and how it is made good.
//
// It runs in the pool's client, in whichever thread collects results. The client's own death ends
// the pool: its workers go by the orphan rule.
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <forkful/bytes/pool_owner.hpp>
#include <forkful/errors.hpp>
#include <utility>

#include "kernel/child.hpp"
#include "kernel/clock.hpp"
#include "kernel/process_info.hpp"
#include "sync/liveness.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

// Two for each worker: a place is taken again before the leaving worker's process has ended.
constexpr std::uint32_t kSlotsPerWorker = 2;
constexpr std::int64_t kLookEveryNs = std::chrono::nanoseconds(PoolOwner::kLookEvery).count();
constexpr std::int64_t kGraceNs = std::chrono::nanoseconds(PoolOwner::kGrace).count();

// Gives the caller's lock away while it lives.
class Away {
 public:
  explicit Away(PoolOwner::Hooks& hooks) : hooks_(hooks) { hooks_.pause(); }
  ~Away() { hooks_.resume(); }
  Away(const Away&) = delete;
  Away& operator=(const Away&) = delete;

 private:
  PoolOwner::Hooks& hooks_;
};

std::string how_it_ended(int exit_code) {
  if (exit_code >= 0) return "exited with code " + std::to_string(exit_code);
  return "was killed by signal " + std::to_string(-exit_code);
}

// The name of what killed it, for readers who do not know the numbers by heart.
std::string name_of_signal(int exit_code) {
  return exit_code < 0 ? std::string(", ") + ::strsignal(-exit_code) : std::string();
}

}  // namespace

PoolOwner::PoolOwner(std::uint32_t processes, std::chrono::milliseconds idle_grace, Hooks& hooks)
    : processes_(processes),
      idle_grace_ns_(std::chrono::nanoseconds(idle_grace).count()),
      hooks_(hooks),
      tasks_(TaskPool::create(processes * kSlotsPerWorker)),
      member_(sync::self().bits),
      want_(processes),
      workers_(tasks_.most_workers()),
      oom_kills_(kernel::oom_kills()) {}

bool PoolOwner::is_ours() const noexcept { return sync::is_self({member_}); }

bool PoolOwner::empty() const {
  return std::all_of(workers_.begin(), workers_.end(), [](const Worker& each) {
    return each.state == WorkerState::empty || each.state == WorkerState::out_of_reach;
  });
}

// --- starting ---

// A start that this thread is in the middle of does not count: whoever calls in from there may be
// waiting for a worker, and would wait for itself.
std::uint32_t PoolOwner::active() const {
  const auto me = std::this_thread::get_id();
  return static_cast<std::uint32_t>(
      std::count_if(workers_.begin(), workers_.end(), [&](const Worker& each) {
        if (each.state == WorkerState::starting) return each.starter != me;
        return each.state == WorkerState::running && !each.leaving;
      }));
}

// A closed pool's workers leave by themselves; only tasks that wait need one.
std::uint32_t PoolOwner::wanted() const {
  if (given_up_ || phase_ == Phase::stopped) return 0;
  if (phase_ == Phase::open) return std::min(processes_, want_);
  return std::min(processes_, tasks_.waiting_tasks());
}

void PoolOwner::start_missing() {
  vacant_ = false;
  while (active() < wanted()) {
    if (!start_one()) return;
  }
}

bool PoolOwner::start_one() {
  const auto free = std::find_if(workers_.begin(), workers_.end(), [](const Worker& each) {
    return each.state == WorkerState::empty;
  });
  if (free == workers_.end()) return false;
  Worker& worker = *free;
  worker = {};
  // Before the hook, which lets the caller's lock go: others must see that the slot is taken.
  worker.state = WorkerState::starting;
  worker.starter = std::this_thread::get_id();
  const auto slot = static_cast<std::uint32_t>(free - workers_.begin());
  try {
    worker.pid = hooks_.start(slot);
  } catch (...) {
    worker.state = WorkerState::empty;
    throw;
  }
  if (worker.pid == 0) {
    worker.state = WorkerState::empty;
    // With others alive the work goes on, and the next look tries again.
    if (active() == 0 && !given_up_) {
      given_up_ = true;
      hooks_.give_up(nullptr);
    }
    return false;
  }
  worker.state = WorkerState::running;
  // A stop that came in between has not signalled this one.
  if (phase_ == Phase::stopped) (void)hooks_.send_signal(slot, SIGKILL);
  return true;
}

// --- looking ---

// By the coarse clock, since this is asked for each result.
bool PoolOwner::is_time_to_look() const { return kernel::coarse_ns() - looked_ns_ >= kLookEveryNs; }

void PoolOwner::look() {
  looked_ns_ = kernel::coarse_ns();
  if (!limits_.empty()) end_late_tasks();
  for (std::uint32_t slot = 0; slot < workers_.size(); ++slot) {
    if (note_end(slot)) bury(slot);
  }
  vacant_ = active() < wanted();
}

// Whether the slot's process has ended, and waits to be buried. While the hook looks, another
// thread may bury it and start the next one.
bool PoolOwner::note_end(std::uint32_t slot) {
  Worker& worker = workers_[slot];
  if (worker.state == WorkerState::running && kernel::may_have_ended(worker.pid)) {
    const int pid = worker.pid;
    const auto code = hooks_.ended(slot);
    if (code && worker.state == WorkerState::running && worker.pid == pid) {
      worker.exit_code = *code;
      worker.state = WorkerState::ended;
    }
  }
  return worker.state == WorkerState::ended;
}

bool PoolOwner::note(const ResultHead& head) {
  if (head.kind == ResultKind::items) {
    // A result shows that workers do start.
    early_exits_ = early_kills_ = 0;
    return true;
  }
  if (head.kind == ResultKind::leaving && head.worker < workers_.size()) {
    workers_[head.worker].leaving = true;
  } else {
    note_damage();
  }
  return false;
}

void PoolOwner::note_damage() {
  if (std::exchange(given_up_, true)) return;
  const Death nobodys{
      0, 0, 0, false,
      "the pool's memory is damaged: some member of the family wrote where it should "
      "not, and nobody knows what was lost, so the pool ends here"};
  hooks_.give_up(&nobodys);
}

// Keeps what the worker has handed in, fails the item that it was running, and lets others do the
// rest. Everything in the ring of results was handed in: its claim has ended.
void PoolOwner::bury(std::uint32_t slot) {
  // As in start_one(): another thread that looks meanwhile leaves it alone.
  workers_[slot].state = WorkerState::burying;
  Worker gone = workers_[slot];
  gone.name = hooks_.name(slot);
  // Before recover(), which clears the slot.
  const bool never_ready = tasks_.view(slot).state == TaskPool::WorkerState::none;
  TaskPool::Lost lost;
  try {
    const Away away(hooks_);
    tasks_.finish_commits();
    tasks_.recover(slot, lost);
  } catch (const OsError&) {
    workers_[slot].state =
        WorkerState::ended;  // no memory to queue its rest again: at the next look
    return;
  }
  hooks_.give_back(slot);
  workers_[slot].state = WorkerState::empty;
  if (lost.claimed && lost.done > 0) hooks_.deliver(lost.results);
  // In a stopped pool the item fails as all others do (Cancelled), and not by the signal that we
  // sent.
  if (lost.claimed && lost.running && phase_ != Phase::stopped) {
    hooks_.lose(lost.task.job, death_of(gone, lost));
  }
  // By its end and not by its good-bye, which may still be in the ring of results.
  const bool in_order = gone.leaving || (gone.exit_code == 0 && !lost.claimed && !never_ready);
  if (ends_with_a_worker_ && !in_order) {
    give_up_for(gone, never_ready);
  } else if (never_ready) {
    note_early_death(gone);
  }
}

void PoolOwner::give_up_for(const Worker& worker, bool never_ready) {
  if (phase_ == Phase::stopped || std::exchange(given_up_, true)) return;
  Death death{worker.pid, worker.exit_code, 0, false, {}};
  death.text = "worker process " + std::to_string(worker.pid) + " (" + worker.name + ") " +
               how_it_ended(worker.exit_code) + name_of_signal(worker.exit_code);
  if (never_ready) death.text += ", before it was ready for a task";
  hooks_.give_up(&death);
}

Death PoolOwner::death_of(const Worker& worker, const TaskPool::Lost& lost) {
  Death death{
      worker.pid, worker.exit_code, lost.task.first + lost.task.start + lost.done, false, {}};
  const std::string who = "worker process " + std::to_string(worker.pid);
  if (const auto found = limits_.find(lost.task.job);
      found != limits_.end() && found->second.late) {
    death.late = true;
    death.text = "the task ran longer than it may, " +
                 std::to_string(found->second.time_ns / 1'000'000) + " ms; " + who +
                 ", which ran it, was killed and is replaced";
    return death;
  }
  const bool one = hooks_.is_one_call(lost.task.job);
  const std::string what =
      one ? "a call" : "item " + std::to_string(death.item) + " (counted from 0) of a call";
  death.text = who + " " + how_it_ended(worker.exit_code) + " while running " + what + " (" +
               worker.name + name_of_signal(worker.exit_code) + "); ";
  if (ends_with_a_worker_) {
    death.text += "the pool ends with it";
  } else {
    death.text += one ? "the other calls" : "the other items";
    death.text += " are not affected and the pool goes on";
  }
  if (worker.exit_code == -SIGKILL) {
    const std::uint64_t kills = kernel::oom_kills();
    if (kills > oom_kills_) {
      death.text += ". Memory was short: the kernel has killed " +
                    std::to_string(kills - oom_kills_) +
                    " processes of this cgroup for that meanwhile (memory.events: oom_kill " +
                    std::to_string(kills) + ")";
    }
    oom_kills_ = kills;
  }
  return death;
}

// Workers that end before they are ready for tasks would be replaced for ever. However long each
// takes to fail: only a result in between shows that others do start.
void PoolOwner::note_early_death(const Worker& worker) {
  // SIGKILL comes from outside: a chance hit, or an OOM killer that strikes again and again.
  // Both are guesses: few enough to end within seconds, and more than a chance would bring.
  constexpr int kMostExits = 5;
  constexpr int kMostKills = 25;
  if (phase_ == Phase::stopped || given_up_) return;
  ++(worker.exit_code == -SIGKILL ? early_kills_ : early_exits_);
  if (early_exits_ < kMostExits && early_kills_ < kMostKills) return;
  given_up_ = true;
  const Death death{
      worker.pid, worker.exit_code, 0, false,
      std::to_string(early_exits_ + early_kills_) + " workers died at their start, the last (" +
          std::to_string(worker.pid) + ") " +
          (worker.exit_code >= 0 ? "with exit code " + std::to_string(worker.exit_code)
                                 : "by signal " + std::to_string(-worker.exit_code)) +
          name_of_signal(worker.exit_code)};
  hooks_.give_up(&death);
}

// --- time-outs ---

void PoolOwner::limit(std::uint64_t job, std::chrono::nanoseconds time) {
  limits_.insert_or_assign(job, Limit{time.count()});
}

// A worker says what it runs, not since when: that is counted from when it was first seen.
void PoolOwner::end_late_tasks() {
  for (std::uint32_t slot = 0; slot < workers_.size(); ++slot) {
    Worker& worker = workers_[slot];
    if (worker.state != WorkerState::running) continue;
    const auto view = tasks_.view(slot);
    if (view.state != TaskPool::WorkerState::busy) continue;
    // So a task may run for a look longer than its limit.
    if (view.job != worker.seen_job) {
      worker.seen_job = view.job;
      worker.seen_since_ns = looked_ns_;
    }
    const auto found = limits_.find(view.job);
    if (found == limits_.end() || found->second.late ||
        looked_ns_ - worker.seen_since_ns < found->second.time_ns ||
        !tasks_.condemn(slot, view.job)) {
      continue;
    }
    // Noted, so that its death is told as a time-out. Where condemn() answers false the worker has
    // handed the task in, or has not said busy yet, and the next look asks again.
    found->second.late = true;
    (void)hooks_.send_signal(slot, SIGKILL);
  }
}

// --- the end ---

int PoolOwner::running_pid() const {
  const auto found = std::find_if(workers_.begin(), workers_.end(), [](const Worker& each) {
    return each.state == WorkerState::running;
  });
  return found != workers_.end() ? found->pid : 0;
}

void await_end(int pid, Deadline until) {
  if (const kernel::Fd process = pid != 0 ? kernel::try_open_pidfd(pid) : kernel::Fd()) {
    (void)kernel::wait_for_end(process.get(), until.at_ns);
  } else {
    // It was reaped just now, or no descriptor is left.
    std::this_thread::sleep_until(
        std::chrono::steady_clock::time_point(std::chrono::nanoseconds(until.at_ns)));
  }
}

void PoolOwner::close() {
  if (phase_ == Phase::open) phase_ = Phase::closed;
}

void PoolOwner::let_go() {
  close();
  tasks_.close();
}

// Signals come from end_step(), since workers that have nothing to do may leave by themselves
// first.
void PoolOwner::stop() {
  if (phase_ == Phase::stopped) return;
  phase_ = Phase::stopped;
  vacant_ = false;
  tasks_.stop();
  next_signal_ = SIGTERM;
  next_signal_ns_ = kernel::monotonic_ns() + idle_grace_ns_;
}

bool PoolOwner::end_step() {
  bool all = true;
  for (std::uint32_t slot = 0; slot < workers_.size(); ++slot) {
    (void)note_end(slot);
    const WorkerState state = workers_[slot].state;
    all = all && state != WorkerState::starting && state != WorkerState::running;
  }
  if (all) return true;
  const std::int64_t now_ns = kernel::monotonic_ns();
  if (now_ns < next_signal_ns_) return false;
  signal_all(next_signal_);
  // A stopped process takes its signal only when it goes on.
  if (next_signal_ == SIGTERM) signal_all(SIGCONT);
  next_signal_ns_ = now_ns + kGraceNs;
  next_signal_ = SIGKILL;
  return false;
}

void PoolOwner::hurry() {
  next_signal_ = SIGKILL;
  next_signal_ns_ = 0;
}

void PoolOwner::signal_all(int signal) {
  for (std::uint32_t slot = 0; slot < workers_.size(); ++slot) {
    if (workers_[slot].state != WorkerState::running) continue;
    if (!hooks_.send_signal(slot, signal) && signal == SIGKILL) {
      // It belongs to another user by now, and goes by the orphan rule when this process is gone.
      workers_[slot].state = WorkerState::out_of_reach;
    }
  }
}

void PoolOwner::bury_all() {
  for (std::uint32_t slot = 0; slot < workers_.size(); ++slot) {
    if (note_end(slot)) bury(slot);
    if (workers_[slot].state != WorkerState::ended) continue;
    // There was no memory to queue the rest of its task again. Nobody would run it any more.
    tasks_.clear_worker(slot);
    hooks_.give_back(slot);
    workers_[slot].state = WorkerState::empty;
  }
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
