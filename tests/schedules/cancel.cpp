// A client that cancels jobs while workers claim them.
//
// What is checked: a job that the client has told to be cancelled is never run. It enters the job,
// and then looks at what the workers have claimed and for the result, as PoolClient::cancel() does.
#include <algorithm>
#include <optional>

#include "pool.hpp"

namespace forkful::schedules {
namespace {

using bytes::Cancellations;

constexpr std::uint32_t kMostJobs = 3;

std::optional<Cancellations> g_cancellations;

void take_results(Ledger& ledger, Deadline until) {
  bytes::ByteMessage message;
  Wait wait(until);
  while (the_pool().next_result(message, wait) == bytes::ByteQueue::Got::received) {
    ledger.deliver(message.bytes());
    if (!until.is_poll()) return;
  }
}

bool cancel(Ledger& ledger, std::uint64_t job) {
  if (!ledger.is_open(job) || !g_cancellations->enter(job)) return false;
  if (the_pool().is_claimed(job)) {
    g_cancellations->remove(job);
    return false;
  }
  take_results(ledger, Deadline::poll());
  if (ledger.is_open(job)) return true;
  g_cancellations->remove(job);
  return false;
}

void lead(Schedule& schedule, Ledger& ledger, std::uint32_t workers,
          std::vector<std::uint64_t>& cancelled) {
  const std::uint32_t jobs = 1 + schedule.below(kMostJobs);
  ledger.submit(jobs, schedule.below(4) == 0 ? 2 : 1);
  for (std::uint32_t attempts = 2; ledger.is_open();) {
    if (attempts == 0 || schedule.coin()) {
      take_results(ledger, Deadline::never());
      continue;
    }
    --attempts;
    const std::uint64_t job = 1 + schedule.below(jobs);
    const bool again = std::find(cancelled.begin(), cancelled.end(), job) != cancelled.end();
    if (again || !cancel(ledger, job)) continue;
    schedule.expect(!ledger.has_run(job), "a job is cancelled that a worker has begun");
    cancelled.push_back(job);
  }
  ledger.submit_ends(workers);
}

void run(Schedule& schedule) {
  Ledger ledger(schedule);
  ledger.cancellations = &*g_cancellations;
  std::vector<std::uint64_t> cancelled;
  const std::uint32_t workers = 1 + schedule.below(kMostPoolWorkers - 1);
  schedule.add([&] { lead(schedule, ledger, workers, cancelled); });
  for (std::uint32_t i = 0; i < workers; ++i) schedule.add([&, i] { ledger.work(i); });
  schedule.run();
  for (const std::uint64_t job : cancelled) {
    schedule.expect(!ledger.has_run(job), "a cancelled job was run");
    g_cancellations->remove(job);
  }
  renew_pool(schedule.anybody_died());
}

void begin() {
  make_pool();
  g_cancellations = Cancellations::create();
}

const Entered g_entered({"cancel", begin, run});

}  // namespace
}  // namespace forkful::schedules
