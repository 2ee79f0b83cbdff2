// A client that cancels jobs, of one task or of several, while workers claim them; one of these may
// die.
//
// What is checked: the client's answer. A job that it has told to be cancelled is never run, and of
// any other no task is refused; nor is one cancelled after it was told to be begun. The client asks
// for the job, and then looks at what the workers have claimed and for results, as
// PoolClient::cancel() does.
#include <algorithm>
#include <forkful/bytes/cancellations.hpp>
#include <optional>

#include "pool.hpp"

namespace forkful::schedules {
namespace {

using bytes::Cancellations;

constexpr std::uint32_t kMostJobs = 3;
constexpr std::int64_t kLookNs = 5'000'000;  // how often a client looks after its workers

std::optional<Cancellations> g_cancellations;

class Client {
 public:
  Client(Schedule& schedule, Ledger& ledger, std::uint32_t workers)
      : schedule_(schedule), ledger_(ledger), buried_(workers) {}

  void lead() {
    const std::uint32_t most_tasks = schedule_.below(4) == 0 ? 2 : 1;
    jobs_ = 1 + schedule_.below(kMostJobs);
    begun_.resize(jobs_ + 1);
    ledger_.submit(jobs_, schedule_.below(4) == 0 ? 2 : 1, most_tasks);
    for (std::uint32_t attempts = 3; ledger_.is_open();) {
      if (attempts == 0 || schedule_.coin()) {
        wait();
        continue;
      }
      --attempts;
      const std::uint64_t job = 1 + schedule_.below(jobs_);
      if (is_cancelled(job) || !cancel(job)) continue;
      schedule_.expect(!ledger_.has_run(job), "a job is cancelled that a worker has begun");
      schedule_.expect(!begun_[job] || schedule_.anybody_died(),
                       "a job is cancelled that was told to be begun");
      cancelled_.push_back(job);
    }
    ledger_.submit_ends(static_cast<std::uint32_t>(buried_.size()));
  }

  void check() const {
    for (std::uint64_t job = 1; job <= jobs_; ++job) {
      if (is_cancelled(job)) {
        schedule_.expect(!ledger_.has_run(job), "a cancelled job was run");
        g_cancellations->remove(job);
      } else {
        schedule_.expect(!ledger_.was_refused(job), "a job was refused that is not cancelled");
      }
    }
  }

 private:
  [[nodiscard]] bool is_cancelled(std::uint64_t job) const {
    return std::find(cancelled_.begin(), cancelled_.end(), job) != cancelled_.end();
  }

  bool take_result(Wait& wait) {
    bytes::ByteMessage message;
    if (the_pool().next_result(message, wait) != bytes::ByteQueue::Got::received) return false;
    ledger_.deliver(message.bytes());
    return true;
  }

  void wait() {
    Wait wait(ledger_.may_die ? Deadline{schedule_.now_ns() + kLookNs} : Deadline::never());
    if (take_result(wait)) return;
    for (std::uint32_t i = 0; i < buried_.size(); ++i) {
      // Worker i is member i + 1. Asked as a client does, by which it knows all that it did.
      if (buried_[i] || schedule_.end_of(Schedule::id(i + 1)) != sync::End::died) continue;
      buried_[i] = true;
      ledger_.bury(i);
    }
  }

  bool cancel(std::uint64_t job) {
    if (!ledger_.is_untouched(job) || !g_cancellations->ask(job)) return false;
    if (the_pool().is_claimed(job)) {
      g_cancellations->remove(job);
      begun_[job] = true;
      return false;
    }
    Wait poll(Deadline::poll());
    while (take_result(poll)) {
    }
    if (!ledger_.is_untouched(job)) {
      g_cancellations->remove(job);
      return false;
    }
    const bool cancelled = g_cancellations->cancel(job);
    begun_[job] = begun_[job] || !cancelled;
    return cancelled;
  }

  Schedule& schedule_;
  Ledger& ledger_;
  std::vector<bool> buried_;  // by worker
  std::uint32_t jobs_ = 0;
  std::vector<bool> begun_;  // jobs that the client was told so of
  std::vector<std::uint64_t> cancelled_;
};

void run(Schedule& schedule) {
  Ledger ledger(schedule);
  ledger.refuses = [](std::uint64_t job) { return g_cancellations->refuses(job); };
  ledger.may_die = schedule.below(4) == 0;
  const std::uint32_t workers = 1 + schedule.below(kMostPoolWorkers - 1) + (ledger.may_die ? 1 : 0);
  Client client(schedule, ledger, workers);
  schedule.add([&] { client.lead(); });
  for (std::uint32_t i = 0; i < workers; ++i) schedule.add([&, i] { ledger.work(i); });
  if (ledger.may_die) schedule.may_die(1 + schedule.below(workers), 150);
  schedule.run();
  schedule.expect(!ledger.is_open(), "an item was lost");
  client.check();
  renew_pool(schedule.anybody_died());
}

void begin() {
  make_pool();
  g_cancellations = Cancellations::create();
}

const Entered g_entered({"cancel", begin, run});

}  // namespace
}  // namespace forkful::schedules
