// The condemn handshake of a pool: a client kills workers because of the task that they run.
//
// What is checked, besides what the ledger does: a worker that may be killed for its job dies with
// that one or with none, whatever it does before the kill; and one that is let go works on.
#include "pool.hpp"

namespace forkful::schedules {
namespace {

constexpr std::uint32_t kMostJobs = 4;
constexpr std::uint32_t kMostAttempts = 3;
constexpr std::uint32_t kMostSteps = 60;  // what a worker does for a task takes about so many

class Client {
 public:
  Client(Schedule& schedule, Ledger& ledger, std::uint32_t workers, std::uint32_t most_items)
      : schedule_(schedule),
        ledger_(ledger),
        workers_(workers),
        most_items_(most_items),
        buried_(workers) {}

  void lead() {
    const std::uint32_t jobs = 2 + schedule_.below(kMostJobs - 1);
    ledger_.submit(jobs, most_items_);
    std::uint32_t attempts = 1 + schedule_.below(kMostAttempts);
    while (ledger_.is_open()) {
      if (attempts != 0 && schedule_.coin()) {
        --attempts;
        // The first worker is never killed, so somebody does the rest.
        try_to_kill(1 + schedule_.below(workers_ - 1), 1 + schedule_.below(jobs));
        continue;
      }
      bytes::ByteMessage message;
      Wait forever;
      schedule_.expect(the_pool().next_result(message, forever) == bytes::ByteQueue::Got::received,
                       "a wait without an end has ended");
      ledger_.deliver(message.bytes());
    }
    ledger_.submit_ends(workers_);
  }

 private:
  void try_to_kill(std::uint32_t slot, std::uint64_t job) {
    if (buried_[slot]) return;
    // Mostly a job that it seems to run; any other one should do no harm.
    if (schedule_.below(4) != 0) job = the_pool().view(slot).job;
    if (job == 0 || !the_pool().condemn(slot, job)) return;
    // It may go on for a while before it is dead: some steps, or as long as it has something to do.
    for (std::uint32_t i = schedule_.below(kMostSteps); i != 0; --i) schedule_.point();
    if (schedule_.below(4) == 0) schedule_.yield();
    schedule_.kill(slot + 1);  // worker i is member i + 1
    buried_[slot] = true;
    // Asked as a client does, by which it knows all that the dead one did.
    (void)schedule_.end_of(Schedule::id(slot + 1));
    const std::uint64_t lost = ledger_.bury(slot);
    schedule_.expect(lost == 0 || lost == job, "another job went with the condemned one");
  }

  Schedule& schedule_;
  Ledger& ledger_;
  std::uint32_t workers_;
  std::uint32_t most_items_;
  std::vector<bool> buried_;
};

void run(Schedule& schedule) {
  Ledger ledger(schedule);
  const std::uint32_t workers = 2 + schedule.below(kMostPoolWorkers - 1);
  Client client(schedule, ledger, workers, schedule.below(8) == 0 ? 2 : 1);
  schedule.add([&] { client.lead(); });
  for (std::uint32_t i = 0; i < workers; ++i) schedule.add([&, i] { ledger.work(i); });
  schedule.run();
  schedule.expect(!ledger.is_open(), "an item was lost");
  renew_pool(schedule.anybody_died());
}

const Entered g_entered({"condemn", make_pool, run});

}  // namespace
}  // namespace forkful::schedules
