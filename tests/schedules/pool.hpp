// A pool in a real arena: its workers, its client, and a ledger of what becomes of each item.
#pragma once

#include <cstdint>
#include <forkful/bytes/task_pool.hpp>
#include <functional>
#include <vector>

#include "protocols.hpp"

namespace forkful::schedules {

inline constexpr std::uint32_t kMostPoolWorkers = 3;

bytes::TaskPool& the_pool();
// Once a process.
void make_pool();

// What the test knows beside the pool. Checks: a task has one owner that lives, each item has one
// result or is lost with its worker, and results are those of their items.
class Ledger {
 public:
  explicit Ledger(Schedule& schedule) : schedule_(schedule) {}

  // Until when a call waits that is not to end soon: where somebody may die, not for ever.
  [[nodiscard]] std::int64_t patience_ns() const;

  // --- client ---

  // Submits so many jobs, which are numbered from 1, in so many tasks at most of so many items.
  void submit(std::uint32_t jobs, std::uint32_t most_items, std::uint32_t most_tasks = 1);
  // Tells so many workers to leave.
  void submit_ends(std::uint32_t workers);
  void deliver(bytes::Bytes message);
  // What a worker that has ended leaves. Returns the job that it had claimed; 0: none.
  std::uint64_t bury(std::uint32_t slot);
  [[nodiscard]] bool is_open() const { return open_ != 0; }  // a result is awaited
  // Whether it has no result at all yet.
  [[nodiscard]] bool is_untouched(std::uint64_t job) const;

  // --- worker ---

  // Works in slot `slot` until it is told to leave.
  void work(std::uint32_t slot);

  // Whether a worker that has claimed a task of the job does not run it, where a protocol has such.
  std::function<bool(std::uint64_t job)> refuses;
  // Whether a task of it was run; whether one was refused.
  [[nodiscard]] bool has_run(std::uint64_t job) const { return jobs_[job - 1].has_run; }
  [[nodiscard]] bool was_refused(std::uint64_t job) const { return jobs_[job - 1].was_refused; }

  bool may_die = false;
  bool gave_up = false;  // a worker has found no task for long

 private:
  enum class Item { open, delivered, lost };
  struct Task {
    std::uint32_t first;
    std::uint32_t count;
    int owner = -1;  // the member that runs it
  };
  struct Job {
    std::vector<Task> tasks;
    std::vector<Item> items;
    bool has_run = false;
    bool was_refused = false;
  };
  void submit_job(const std::vector<std::uint32_t>& counts, std::uint64_t function);
  void run_task(bytes::TaskPool::Worker& worker);
  void settle(std::uint64_t job, std::uint32_t item, Item how);

  Schedule& schedule_;
  std::vector<Job> jobs_;  // job n at n - 1
  std::uint32_t open_ = 0;
};

// After a schedule: an empty pool again. Requires: nobody runs.
void renew_pool(bool anybody_died);

}  // namespace forkful::schedules
