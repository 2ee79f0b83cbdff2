// What the owner of a C++ pool (PoolOwner) asks for: its workers' processes, and the ends of jobs.
// The hooks run in whichever thread collects, with the mutex, and let it go where they may wait.

#include <algorithm>
#include <cerrno>
#include <forkful/detail/calls/code.hpp>
#include <forkful/errors.hpp>
#include <string>

#include "executor/state.hpp"
#include "executor/worker.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {
namespace {

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

// A pool's own end is nobody's death, and the worker of a task that was late was killed by the pool
// itself: neither is told as a WorkerDied.
std::exception_ptr exception_of(const bytes::Death& death) {
  if (death.pid == 0) return std::make_exception_ptr(Error(death.text));
  if (death.late) return std::make_exception_ptr(TimeoutError(death.text));
  return std::make_exception_ptr(WorkerDied(death.text, death.pid, death.signal(),
                                            death.signal() != 0 ? -1 : death.exit_code,
                                            death.item));
}

}  // namespace

int PoolClient::State::start(std::uint32_t slot) {
  const std::string name = worker_name(plan.context) + std::to_string(++named_);
  // Without the mutex: a start takes a millisecond or more, and may wait for a lock of the family.
  bytes::RawProcess process;
  std::exception_ptr error;
  {
    const Unlocked unlocked(mutex);
    try {
      // The worker reads it in this order, in run_worker() and run_initializer().
      Writer payload;
      payload.raw(pool::WorkerPlan{owner.tasks().id(), cancellations.shared().id(), slot,
                                   plan.max_tasks_per_child});
      payload.raw(plan.initializer != nullptr);
      if (plan.initializer != nullptr) {
        payload.raw(untold.id());
        payload.raw(place_of(plan.initializer));
        payload.bytes(plan.initializer_payload.data(), plan.initializer_payload.size());
      }
      // What the payload names has to be held by somebody until the worker adopts it: by the
      // worker's own list, from before it begins.
      bytes::Carried carried = plan.carried;
      carried.shares.push_back(owner.tasks());
      carried.shares.push_back(cancellations.shared());
      if (plan.initializer != nullptr) carried.shares.push_back(untold);
      process =
          bytes::RawProcess::start({.pool_worker = true, .context = plan.context, .name = name},
                                   pool::run_worker, payload.view(), carried);
    } catch (...) {
      error = std::current_exception();
    }
  }
  // Kept with the mutex again, for give_up(): the owner asks for it only if no worker is left.
  if (error) {
    start_error_ = error;
    return 0;
  }
  processes_[slot] = std::move(process);
  return processes_[slot].pid();
}

// With the mutex, since it takes no lock of the family: give_back() does that later.
std::optional<int> PoolClient::State::ended(std::uint32_t slot) { return processes_[slot].ended(); }

bool PoolClient::State::send_signal(std::uint32_t slot, int signal) try {
  processes_[slot].send_signal(signal);
  return true;
} catch (const OsError& error) {
  // Only that lasts: the process has another user by now. After any other error a pool's end
  // signals once more.
  return error.error() != EPERM;
}

void PoolClient::State::give_back(std::uint32_t slot) {
  // Moved out of the table, which other threads may use while the mutex is away.
  bytes::RawProcess ended = std::move(processes_[slot]);
  const Unlocked unlocked(mutex);
  ended.give_back();
}

std::vector<int> PoolClient::State::pids() const {
  std::vector<int> pids;
  for (const auto& process : processes_) {
    if (process) pids.push_back(process.pid());
  }
  return pids;
}

bool PoolClient::State::is_one_call(std::uint64_t id) {
  const auto found = jobs.find(id);
  return found != jobs.end() && found->second->have_.empty();
}

void PoolClient::State::lose(std::uint64_t id, const bytes::Death& why) {
  const auto found = jobs.find(id);
  if (found == jobs.end()) {
    note_gone(id, 1);
    return;
  }
  // A share of our own, since finish_items() may take the job out of the table.
  const std::shared_ptr<Job> job = found->second;
  // Its result may have come before its worker's end was seen.
  if (!job->note_result(why.item)) return;
  job->set_error(why.item, exception_of(why));
  finish_items(job, 1);
}

void PoolClient::State::give_up(const bytes::Death* why) {
  if (why == nullptr) {
    break_with(start_error_);
    return;
  }
  // Of a death, what only this side knows is added; an end of the pool's own says all itself.
  bytes::Death told = *why;
  if (told.pid != 0) told.text += ": " + why_none_begins();
  break_with(exception_of(told));
}

// The permit `untold` is taken by the first initializer that throws.
std::string PoolClient::State::why_none_begins() const {
  if (plan.initializer == nullptr) {
    std::string text = "none came to its first task, and there is no initializer: ";
    return text + (plan.context == Context::fork
                       ? "what ends them?"
                       : "does what main() does before init(), or a static object, end them?");
  }
  if (untold.value() == 0) {
    return "the pool's initializer throws; the first exception is on stderr";
  }
  return "the pool's initializer does not come to its end, and throws nothing: it calls exit() or "
         "_exit(), crashes, or is killed";
}

void PoolClient::State::break_with(const std::exception_ptr& error) {
  // For every later call. Callbacks that are due still run, each with the failure of its call.
  broken = error;
  owner.start_no_more();
  fail_jobs(Failing::calls, error);
}

bool PoolClient::State::await_workers(Deadline until, const std::stop_token& stop) {
  for (;;) {
    owner.look();
    if (owner.has_vacancy()) owner.start_missing();
    if (owner.empty()) return true;
    if (is_past(until) || stop.stop_requested()) return false;
    await_an_end(until);
  }
}

void PoolClient::State::await_an_end(Deadline until) {
  const int pid = owner.running_pid();
  const Unlocked unlocked(mutex);
  bytes::await_end(pid, soonest(until, Deadline::in(kLookEvery)));
}

// The waits let the mutex go, so that whoever has the baton can come to its end meanwhile.
void PoolClient::State::end_workers() {
  owner.stop();
  while (!owner.end_step()) await_an_end(Deadline::never());
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
