// Tasks of a pool: a client submits them and takes the results, workers claim and run them, and one
// of them may die at any step.
//
// What is checked, besides what the ledger does: nobody sleeps while there is a task to claim or a
// result to take, and a death loses no more than the item that its worker had begun.
#include "pool.hpp"

namespace forkful::schedules {
namespace {

constexpr std::uint32_t kMostJobs = 3;
constexpr std::uint32_t kMostItems = 3;
constexpr std::int64_t kLookNs = 5'000'000;  // how often a client looks after its workers

void lead(Schedule& schedule, Ledger& ledger, std::uint32_t workers, std::uint32_t most_items) {
  ledger.submit(1 + schedule.below(kMostJobs), most_items);
  std::vector<bool> buried(workers);
  while (ledger.is_open()) {
    bytes::ByteMessage message;
    Wait wait(ledger.may_die ? Deadline{schedule.now_ns() + kLookNs} : Deadline::never());
    if (the_pool().next_result(message, wait) == bytes::ByteQueue::Got::received) {
      ledger.deliver(message.bytes());
      continue;
    }
    for (std::uint32_t i = 0; i < workers; ++i) {
      // Worker i is member i + 1. Asked as a client does, by which it knows all that it did.
      if (buried[i] || schedule.end_of(Schedule::id(i + 1)) != sync::End::died) continue;
      buried[i] = true;
      ledger.bury(i);
    }
  }
  ledger.submit_ends(workers);
}

void run(Schedule& schedule) {
  Ledger ledger(schedule);
  ledger.may_die = schedule.coin();
  const std::uint32_t workers = 2 + schedule.below(kMostPoolWorkers - 1);
  // Tasks of several items come as blocks, which take more steps.
  const std::uint32_t most_items = schedule.coin() ? kMostItems : 1;
  schedule.add([&] { lead(schedule, ledger, workers, most_items); });
  for (std::uint32_t i = 0; i < workers; ++i) schedule.add([&, i] { ledger.work(i); });
  if (ledger.may_die) schedule.may_die(schedule.below(schedule.members()), 150);
  schedule.run();
  if (!schedule.has_died(0)) {
    schedule.expect(!ledger.is_open(), "an item was lost");
    if (ledger.gave_up) schedule.expect(the_pool().waiting_tasks() == 0, "a task was overslept");
  }
  renew_pool(schedule.anybody_died());
}

const Entered g_entered({"claim", make_pool, run});

}  // namespace
}  // namespace forkful::schedules
