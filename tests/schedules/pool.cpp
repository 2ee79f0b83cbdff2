#include "pool.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "arena.hpp"
#include "pool/parts.hpp"

namespace forkful::schedules {
namespace {

using base::Bytes;
using base::Offset;
using bytes::ByteMessage;
using bytes::ByteQueue;
using bytes::TaskHead;
using bytes::TaskPool;
using pool::PoolWords;

constexpr std::uint64_t kWork = 1;  // functions
constexpr std::uint64_t kLeave = 2;

TaskPool* g_pool = nullptr;

template <class T>
Bytes bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::uint64_t result_of(std::uint64_t job, std::uint32_t item) { return job * 1000 + item; }

std::uint64_t number_in(Bytes bytes) {
  std::uint64_t number = 0;
  if (bytes.size() == sizeof number) std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

}  // namespace

TaskPool& the_pool() { return *g_pool; }

void make_pool() {
  g_pool = new TaskPool(TaskPool::create(kMostPoolWorkers));
  share_arena();
}

std::int64_t Ledger::patience_ns() const {
  return may_die ? schedule_.now_ns() + kGivesUpNs : kForever;
}

void Ledger::submit_job(const std::vector<std::uint32_t>& counts, std::uint64_t function) {
  const std::uint64_t number = jobs_.size() + 1;
  Job job;
  for (const std::uint32_t count : counts) {
    job.tasks.push_back({static_cast<std::uint32_t>(job.items.size()), count});
    job.items.insert(job.items.end(), count, Item::open);
  }
  const std::vector<Task> tasks = job.tasks;
  jobs_.push_back(std::move(job));
  const Bytes payload[] = {bytes_of(number)};
  for (const Task& each : tasks) {
    g_pool->submit(TaskHead{number, each.first, each.count, 0, 0, function}, payload);
  }
}

void Ledger::submit(std::uint32_t jobs, std::uint32_t most_items, std::uint32_t most_tasks) {
  for (std::uint32_t i = 0; i < jobs; ++i) {
    std::vector<std::uint32_t> counts(most_tasks > 1 ? 1 + schedule_.below(most_tasks) : 1);
    for (std::uint32_t& count : counts) {
      count = 1 + schedule_.below(most_items);
      open_ += count;
    }
    submit_job(counts, kWork);
  }
}

bool Ledger::is_untouched(std::uint64_t job) const {
  const auto& items = jobs_[job - 1].items;
  return std::count(items.begin(), items.end(), Item::open) == std::ssize(items);
}

void Ledger::submit_ends(std::uint32_t workers) {
  for (; workers != 0; --workers) submit_job({1}, kLeave);
}

void Ledger::settle(std::uint64_t job, std::uint32_t item, Item how) {
  schedule_.expect(job >= 1 && job <= jobs_.size(), "a result of no job");
  auto& items = jobs_[job - 1].items;
  schedule_.expect(item < items.size(), "a result of no item");
  schedule_.expect(items[item] == Item::open, "an item was settled twice");
  items[item] = how;
  --open_;
}

void Ledger::deliver(Bytes message) {
  bytes::ResultReader reader(message);
  schedule_.expect(reader.head().kind == bytes::ResultKind::items, "a task was damaged");
  const std::uint64_t job = reader.head().job;
  while (reader.next()) {
    schedule_.expect(number_in(reader.payload()) == result_of(job, reader.index()),
                     "a result is another item's");
    settle(job, reader.index(), Item::delivered);
  }
}

std::uint64_t Ledger::bury(std::uint32_t slot) {
  g_pool->finish_commits();
  TaskPool::Lost lost;
  g_pool->recover(slot, lost);
  if (!lost.claimed) return 0;
  if (!lost.results.bytes().empty()) deliver(lost.results.bytes());
  if (lost.running) {
    settle(lost.task.job, lost.task.first + lost.task.start + lost.done, Item::lost);
  }
  return lost.task.job;
}

void Ledger::run_task(TaskPool::Worker& worker) {
  const TaskHead task = worker.task();
  schedule_.expect(task.job >= 1 && task.job <= jobs_.size(), "a task of no job");
  Job& job = jobs_[task.job - 1];
  const auto its = std::find_if(job.tasks.begin(), job.tasks.end(),
                                [&](const Task& each) { return each.first == task.first; });
  schedule_.expect(
      its != job.tasks.end() && task.count == its->count && number_in(worker.payload()) == task.job,
      "a task is torn");
  const bool had_one = its->owner >= 0 && !schedule_.has_died(static_cast<unsigned>(its->owner));
  schedule_.expect(!had_one, "a task has two owners");
  its->owner = static_cast<int>(schedule_.current());
  // As a worker does, after its claim. A task that is refused has results as others do.
  const bool refused = refuses && refuses(task.job);
  job.was_refused |= refused;
  for (std::uint32_t item = task.start; item < task.count; ++item) {
    worker.begin_item();
    // Not before: a task of several items whose worker dies ahead of them is queued again whole.
    job.has_run |= !refused;
    const std::uint64_t result = result_of(task.job, task.first + item);
    const Bytes parts[] = {bytes_of(result)};
    worker.commit_item(0, parts);
  }
}

void Ledger::work(std::uint32_t slot) {
  TaskPool::Worker worker(*g_pool, slot);
  for (;;) {
    const bool soon = schedule_.below(4) == 0;
    const std::int64_t soon_ns = schedule_.now_ns() + schedule_.soon_ns();
    Wait wait(Deadline{soon ? soon_ns : patience_ns()});
    if (worker.next(wait) != ByteQueue::Got::received) {
      if (soon) continue;
      gave_up = true;
      return;
    }
    run_task(worker);
    if (worker.task().function == kLeave) return;
  }
}

void renew_pool(bool anybody_died) {
  repair_arena();
  const Offset object = g_pool->id().offset;
  const Offset at = pool::words_at(object);
  auto& words = arena::at<PoolWords>(at);
  renew(words.tasks, at + offsetof(PoolWords, tasks), !anybody_died);
  renew(words.results, at + offsetof(PoolWords, results), !anybody_died);
  words.stopped.store(0, std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < kMostPoolWorkers; ++i) {
    new (&arena::at<pool::WorkerSlot>(pool::slot_at(object, i))) pool::WorkerSlot{};
  }
}

}  // namespace forkful::schedules
