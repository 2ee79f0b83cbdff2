// The thread that runs callbacks, and collects while nobody else does; see bytes/attendance.hpp.

#include <cstdio>
#include <exception>
#include <forkful/errors.hpp>

#include "kernel/signals.hpp"
#include "pool/pool_state.hpp"
#include "pool/pool_worker.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {

using bytes::Attendance;

void PoolClient::State::attend(Job& job) {
  if (job.attended_ || jobs.count(job.id_) == 0) return;
  start_attendant();
  job.attended_ = true;
  ++attended;
  attendant_changed.notify_one();
}

void PoolClient::State::start_attendant() {
  if (attendant.joinable() || attendant_ends) return;
  const kernel::BlockedSignals blocked;
  attendant = std::thread([this, mask = blocked.before()] {
    kernel::give_children(mask);
    work();
  });
  attendant_id = attendant.get_id();
}

void PoolClient::State::rouse_attendant() {
  start_attendant();
  if (attendant_sleeps || owner.has_vacancy()) attendant_changed.notify_one();
}

// In a program that always waits there is none: its next wait does what is left.
void PoolClient::State::leave_to_attendant() {
  if (is_urgent()) attendant_changed.notify_one();
}

void PoolClient::State::end_attendant(Lock& lock) {
  attendant_ends = true;
  if (!attendant.joinable() || on_attendant()) return;
  attendant_changed.notify_one();
  changed.notify_all();
  while (!attendant_gone) changed.wait(lock);
  if (attendant.joinable()) attendant.join();  // it needs the mutex no more
}

void PoolClient::State::require_no_callback() const {
  if (!on_attendant()) return;
  std::fprintf(stderr, "forkful: a callback must not destroy its pool: it would wait for itself\n");
  std::terminate();
}

void PoolClient::State::work() {
  Attendance attendance;
  Lock lock(mutex);
  for (;;) {
    if (!due.empty()) {
      run_next(lock);
      continue;
    }
    if (attendant_ends) break;
    switch (attendance.next({is_unfinished(), is_urgent(), waiters, waits, next_job})) {
      case Attendance::Turn::attend: {
        if (!may_collect()) {
          changed.wait_for(lock, kLookEvery * 20);
          break;
        }
        const Baton baton(*this, lock);
        try {
          pump(Deadline::never());
        } catch (...) {
          break_with(std::current_exception());
        }
        break;
      }
      case Attendance::Turn::look:
        attendant_changed.wait_for(lock, Attendance::kGrace);
        break;
      case Attendance::Turn::sleep:
        attendant_sleeps = true;
        attendant_changed.wait(lock);
        attendant_sleeps = false;
        break;
    }
  }
  attendant_gone = true;
  // Under the mutex still: who hears of it may destroy this.
  changed.notify_all();
}

void PoolClient::State::run_next(Lock& lock) {
  Job::Continuation next = std::move(due.front());
  due.pop_front();
  if (!next.callback) {
    run_progress(lock, next.result);
    return;
  }
  const bool dropped = next.result->done_ || owner.phase() == PoolOwner::Phase::stopped;
  next.result->begun_ = true;
  lock.unlock();
  if (dropped) {
    next.callback->drop(
        std::make_exception_ptr(Cancelled("the pool was stopped, or this was cancelled, before "
                                          "its turn came")));
  } else {
    next.callback->run();
  }
  if (!owner.is_ours()) pool::end_forked(0);
  next.callback.reset();  // without the mutex: what it captured may be anything
  lock.lock();
  if (!next.result->done_) retire(next.result);
  changed.notify_all();
}

// Has the job's progress told; not for each item where the attendant does not come along.
void PoolClient::State::report_progress(const std::shared_ptr<Job>& job) {
  Job::Followers& followers = *job->followers_;
  if (followers.progress_due) return;
  followers.progress_due = true;
  add_due({nullptr, job});
}

// A job is done only when its progress was told to the end, so that what the function refers to may
// be the caller's.
void PoolClient::State::run_progress(Lock& lock, const std::shared_ptr<Job>& job) {
  Job::Followers& followers = *job->followers_;
  followers.progress_due = false;
  if (jobs.count(job->id_) == 0 || !followers.progress) return;
  const std::uint32_t total = followers.total;
  const std::uint32_t finished = total - job->missing_;
  std::exception_ptr error;
  followers.progress_runs = true;
  lock.unlock();
  try {
    followers.progress(finished, total);
  } catch (...) {
    error = std::current_exception();
  }
  if (!owner.is_ours()) pool::end_forked(error ? 1 : 0);
  lock.lock();
  followers.progress_runs = false;
  if (error) {
    const Baton baton(*this, lock);  // whoever has it may be giving the job a result just now
    job->set_error(0, error);
    followers.progress = nullptr;
  }
  const bool told = !followers.progress_due || !followers.progress;
  if (job->missing_ == 0 && told && jobs.count(job->id_) != 0) retire(job);
  changed.notify_all();
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
