// The thread that runs callbacks, one after the other, and how a pool's threads begin and end.

#include <cstdio>
#include <exception>
#include <forkful/errors.hpp>
#include <system_error>

#include "executor/state.hpp"
#include "executor/worker.hpp"
#include "kernel/error.hpp"
#include "kernel/signals.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {

// The thread waits for the mutex first.
std::thread PoolClient::State::start_thread(void (State::*life)()) {
  const kernel::BlockedSignals blocked;
  std::thread thread([this, life, mask = blocked.before()] {
    kernel::give_children(mask);
    (this->*life)();
  });
  ++threads_running;
  return thread;
}

// The last that a thread does. It keeps the mutex, for whoever hears of this may destroy the state.
void PoolClient::State::end_thread() {
  --threads_running;
  changed.notify_all();
}

void PoolClient::State::end_threads(Guard& lock) {
  threads_end = true;
  attendant_changed.notify_one();
  callbacks_changed.notify_one();
  changed.notify_all();
  // A callback cannot wait for its own thread, which ends when the callback has returned.
  if (in_callback()) return;
  while (threads_running > 0) changed.wait(lock);
  // They need the mutex no more.
  for (std::thread* each : {&attendant, &callbacks}) {
    if (each->joinable()) each->join();
  }
  callbacks_id.store({}, std::memory_order_relaxed);  // a later thread may have that id
}

void PoolClient::State::start_callbacks() {
  if (callbacks.joinable() || threads_end) return;
  try {
    callbacks = start_thread(&State::call_back);
  } catch (const std::system_error& error) {
    kernel::throw_error(error.code().value(), "start", "the thread of a pool's callbacks");
  }
  callbacks_id.store(callbacks.get_id(), std::memory_order_relaxed);
}

void PoolClient::State::require_no_callback() const {
  if (!in_callback()) return;
  std::fprintf(stderr, "forkful: a callback must not destroy its pool: it would wait for itself\n");
  std::terminate();
}

void PoolClient::State::call_back() {
  Guard lock(mutex);
  while (!due.empty() || !threads_end) {
    if (due.empty()) {
      callbacks_changed.wait(lock);
    } else {
      run_next(lock);
    }
  }
  end_thread();
}

void PoolClient::State::run_next(Guard& lock) {
  Job::Continuation next = std::move(due.front());
  due.pop_front();
  if (!next.callback) {
    run_progress(lock, next.result);
    return;
  }
  // Cancelled meanwhile, or the pool was stopped: its Future has its exception then.
  const bool dropped = next.result->done_ || owner.phase() == PoolOwner::Phase::stopped;
  // From here on cancel() and fail_jobs() leave it alone.
  next.result->begun_ = true;
  {
    const Unlocked unlocked(mutex);
    if (dropped) {
      next.callback->drop(
          std::make_exception_ptr(Cancelled("the pool was stopped, or this was cancelled, before "
                                            "its turn came")));
    } else {
      next.callback->run();
    }
    // A callback that forks may come back twice: the child must not go on as this pool's client.
    if (!owner.is_ours()) pool::end_forked(0);
    next.callback.reset();  // without the mutex: what it captured may be anything
  }
  if (!next.result->done_) retire(next.result);
  changed.notify_all();
}

// Has the job's progress told: once, however many items are done before the thread comes to it.
void PoolClient::State::report_progress(const std::shared_ptr<Job>& job) {
  Job::Followers& followers = *job->followers_;
  if (followers.progress_due) return;
  followers.progress_due = true;
  add_due({nullptr, job});
}

// A job is done only when its progress was told to the end, so that what the function refers to may
// be the caller's.
void PoolClient::State::run_progress(Guard& lock, const std::shared_ptr<Job>& job) {
  Job::Followers& followers = *job->followers_;
  followers.progress_due = false;
  if (jobs.count(job->id_) == 0 || !followers.progress) return;
  const std::uint32_t total = followers.total;
  const std::uint32_t finished = total - job->missing_;
  std::exception_ptr error;
  followers.progress_runs = true;
  {
    const Unlocked unlocked(mutex);
    try {
      followers.progress(finished, total);
    } catch (...) {
      error = std::current_exception();
    }
    if (!owner.is_ours()) pool::end_forked(error ? 1 : 0);
  }
  followers.progress_runs = false;
  if (error) {
    const Baton baton(*this, lock);  // whoever has it may be giving the job a result just now
    job->set_error(0, error);
    followers.progress = nullptr;
  }
  // Results that came while the function ran are told by another turn.
  const bool told = !followers.progress_due || !followers.progress;
  if (job->missing_ == 0 && told && jobs.count(job->id_) != 0) retire(job);
  changed.notify_all();
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
