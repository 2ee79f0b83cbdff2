// The thread that collects while nobody else does; bytes/attendance.hpp has the rule when. It
// begins with the first call that nobody waits for at once, and ends with the pool.

#include <exception>
#include <system_error>

#include "executor/state.hpp"

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
  if (attendant.joinable() || threads_end) return;
  try {
    attendant = start_thread(&State::attend_pool);
  } catch (const std::system_error&) {
    // Why: where the system has no thread for it, whoever waits attends the pool as well, and the
    // next call asks for one again.
  }
}

void PoolClient::State::rouse_attendant() {
  start_attendant();
  // While the attendant only rests between two looks, it is not woken: it looks again within 30 ms.
  if (attendant_sleeps || owner.has_vacancy()) attendant_changed.notify_one();
}

// In a program whose calls all wait there is no attendant: its next wait does what is left.
void PoolClient::State::leave_to_attendant() {
  if (is_urgent()) attendant_changed.notify_one();
}

void PoolClient::State::attend_pool() {
  Attendance attendance;
  Guard lock(mutex);
  while (!threads_end) {
    switch (attendance.next({is_unfinished(), is_urgent(), waiters, waits, next_job})) {
      case Attendance::Step::attend: {
        if (!may_collect()) {
          // Another thread collects, and its Baton tells when it stops. The limit is a guess.
          changed.wait_for(lock, kLookEvery * 20);
          break;
        }
        const Baton baton(*this, lock);
        try {
          pump(Deadline::never());
        } catch (...) {
          // No caller is there to be told: the pool ends, and every call gets the reason.
          break_with(std::current_exception());
        }
        break;
      }
      case Attendance::Step::look:
        attendant_changed.wait_for(lock, Attendance::kGrace);
        break;
      case Attendance::Step::sleep:
        attendant_sleeps = true;
        attendant_changed.wait(lock);
        attendant_sleeps = false;
        break;
    }
  }
  end_thread();
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
