// What a pool's client does about its workers: what one is running, that one shall be killed, and
// what one has left that has ended. TASK.md says what each death leaves.
#include <algorithm>
#include <atomic>
#include <forkful/bytes/task_pool.hpp>

#include "arena/shares.hpp"
#include "kernel/fault.hpp"
#include "kernel/futex.hpp"
#include "pool/parts.hpp"
#include "pool/words.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

using arena::ArenaJournal;
using arena::Journal;
using base::Offset;
using channel::Ring;
using pool::Claim;
using pool::claim_at;
using pool::high_half;
using pool::low_half;
using pool::must_be_sent;
using pool::results_of;
using pool::slot_of;
using pool::stage_drop;
using pool::tasks_of;
using pool::words_of;
using pool::WorkerSlot;

// What a claim refers to, as far as it is believable: any member may have written over it.
Offset believable(Offset block, std::uint64_t least_bytes) {
  return block != 0 && arena::is_run(block, least_bytes) ? block : 0;
}

}  // namespace

// One field a commit, so that each is given back once, wherever the client dies.
void TaskPool::clear_worker(std::uint32_t worker) const {
  FORKFUL_CHECK(worker < most_workers());
  const Offset claim = claim_at(held_->object, worker);
  for (const auto field : {offsetof(Claim, payload), offsetof(Claim, results)}) {
    ArenaJournal journal;
    stage_drop(journal, claim + field);
    journal.set(claim + offsetof(Claim, job), 0);
    journal.commit();
  }
  arena::bury_the_dying();  // what the blocks held
  // Relaxed: the next worker of the slot is started after this, by this process.
  slot_of(held_, worker).state.store(0, std::memory_order_relaxed);
  slot_of(held_, worker).condemned.store(0, std::memory_order_relaxed);
  slot_of(held_, worker).tasks_done.store(0, std::memory_order_relaxed);
}

void TaskPool::finish_commits() const {
  // Whoever takes a journal's lock, or that of a put end, from a dead owner completes its commit.
  const Journal tasks(words_of(held_).tasks.get.journal);
  results_of(held_).finish_puts();
  const ArenaJournal arena_too;
}

void TaskPool::recover(std::uint32_t worker, Lost& into) const {
  FORKFUL_CHECK(worker < most_workers());
  const Offset where = claim_at(held_->object, worker);
  const Claim claim = slot_of(held_, worker).claim;
  into.claimed = claim.job != 0;
  into.running = false;
  into.done = 0;
  into.results.reset();
  if (into.claimed) {
    into.task = {claim.job, low_half(claim.items), high_half(claim.items), 0, 0, 0};
    const Offset payload =
        believable(claim.payload, std::max<std::uint64_t>(claim.payload_bytes, sizeof(TaskHead)));
    if (payload != 0) into.task = arena::at<TaskHead>(payload);
    const Offset results = believable(claim.results, sizeof(ResultHead));
    if (results != 0) {
      (void)arena::at(results, arena::run_bytes(results));  // where it cannot be mapped: not yet
      into.done = static_cast<std::uint32_t>(arena::at<ResultHead>(results).progress >> 40);
    }
    const std::uint32_t next = into.task.start + into.done;
    // A task of one item may have come as a record, which cannot be queued again: it counts as
    // begun once it was claimed.
    into.running = claim.begun > next || (into.task.count == 1 && next == 0);
    const std::uint32_t rest = next + (into.running ? 1 : 0);
    // First what may fail, so that a caller without memory finds all of it at its next attempt.
    if (payload != 0 && rest < into.task.count) {
      Ring ring = tasks_of(held_);
      FORKFUL_FAULT("pool.pushing");
      // The task says where to begin before any worker finds it.
      must_be_sent(ring.try_push_run(
          payload, claim.payload_bytes,
          [&](Journal& journal) { journal.set(where + offsetof(Claim, payload), 0); },
          sync::IfStuck::wait,
          [&](Journal& journal) {
            static_assert(offsetof(TaskHead, flags) == offsetof(TaskHead, start) + 4);
            journal.set(payload + offsetof(TaskHead, start), pool::pack(into.task.flags, rest));
          }));
      ring.words().not_empty().notify();
    }
    if (results != 0) {
      // The block becomes this member's, and the message frees it.
      {
        ArenaJournal journal;
        arena::stage_owner(journal, results, sync::self().bits);
        journal.set(where + offsetof(Claim, results), 0);
        journal.commit();
      }
      into.results.take_block(results, arena::run_bytes(results));
    }
  }
  clear_worker(worker);
}

TaskPool::WorkerView TaskPool::view(std::uint32_t worker) const {
  FORKFUL_CHECK(worker < most_workers());
  const WorkerSlot& slot = slot_of(held_, worker);
  // Relaxed: each is a word of its own, and may be newer than another. recover() does not use this.
  const auto load = [](const std::uint64_t& word) {
    return std::atomic_ref(const_cast<std::uint64_t&>(word)).load(std::memory_order_relaxed);
  };
  const auto begun = static_cast<std::uint32_t>(load(slot.claim.begun));
  // Pairs with the stores of the worker: the state is never newer than the job.
  const std::uint32_t state = slot.state.load(std::memory_order_seq_cst);
  return {static_cast<WorkerState>(state), load(slot.claim.job),
          low_half(load(slot.claim.items)) + (begun > 0 ? begun - 1 : 0),
          slot.tasks_done.load(std::memory_order_relaxed)};
}

bool TaskPool::is_claimed(std::uint64_t job) const {
  // Pairs with the unlock after a claim: a worker that has looked at Cancellations before the job
  // was asked for there is seen to have it.
  words_of(held_).tasks.get.journal.lock.look_past();
  for (std::uint32_t worker = 0; worker < most_workers(); ++worker) {
    std::uint64_t& claimed = slot_of(held_, worker).claim.job;
    // Acquire: pairs with the stores that end a claim, which come after the result's.
    if (std::atomic_ref(claimed).load(std::memory_order_acquire) == job) return true;
  }
  return false;
}

bool TaskPool::condemn(std::uint32_t worker, std::uint64_t job) const {
  WorkerSlot& slot = slot_of(held_, worker);
  // The worker says that it is idle and then looks at this word, before it claims another task.
  // So either it sees the word, or this look sees that it is idle, or has another job since. Pairs
  // with the load in Worker::next().
  slot.condemned.store(1, std::memory_order_seq_cst);
  const WorkerView seen = view(worker);
  if (seen.state == WorkerState::busy && seen.job == job) return true;
  slot.condemned.store(0, std::memory_order_seq_cst);
  (void)kernel::futex_wake(slot.condemned, 1);
  return false;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
