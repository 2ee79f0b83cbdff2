// A worker's end of a pool: it claims tasks, and commits the results of their items.
//
// Threads: a Worker belongs to its process's one thread that works.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <forkful/bytes/own_worker.hpp>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/errors.hpp>

#include "arena/shares.hpp"
#include "base/check.hpp"
#include "kernel/fault.hpp"
#include "kernel/futex.hpp"
#include "pool/outgoing.hpp"
#include "pool/parts.hpp"
#include "pool/words.hpp"
#include "sync/pass_on.hpp"

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
using pool::must_be_sent;
using pool::Outgoing;
using pool::PoolWords;
using pool::results_of;
using pool::slot_of;
using pool::stage_drop;
using pool::tasks_of;
using pool::words_of;
using pool::WorkerSlot;

// The member that has made a Worker, as its last one did. Why relaxed: a process asks about itself.
std::atomic<std::uint32_t> g_worker{0};

// With what recover() needs after a death: a task that came as a record is gone from the ring then,
// so its job and its items are noted here.
void stage_claim(Journal& journal, Offset claim, const TaskHead& task, Offset run,
                 std::size_t size) {
  journal.set(claim + offsetof(Claim, job), task.job);
  journal.set(claim + offsetof(Claim, items), pool::pack(task.count, task.first));
  journal.set(claim + offsetof(Claim, begun), task.start);
  journal.set(claim + offsetof(Claim, payload), run);
  journal.set(claim + offsetof(Claim, payload_bytes), size);
}

}  // namespace

TaskPool::Worker::Worker(const TaskPool& pool, std::uint32_t index) : pool_(pool), index_(index) {
  FORKFUL_CHECK(index < pool.most_workers());
  g_worker.store(sync::self().bits, std::memory_order_relaxed);
  // Pairs with view(): not ready before this.
  slot_of(pool.held_, index)
      .state.store(static_cast<std::uint32_t>(WorkerState::idle), std::memory_order_seq_cst);
}

bool is_worker() noexcept {
  const std::uint32_t worker = g_worker.load(std::memory_order_relaxed);
  return worker != 0 && sync::is_self({worker});
}

ByteQueue::Got TaskPool::Worker::next(Wait& wait) {
  arena::Held* held = pool_.held_;
  WorkerSlot& slot = slot_of(held, index_);
  PoolWords& words = words_of(held);
  Ring ring = tasks_of(held);
  // Under the get lock of the tasks, in the commit that moves the ring's head.
  const auto stage = [&](Journal& journal, Offset run, std::size_t size, Bytes bytes) {
    if (run != 0) bytes = arena::is_run(run, size) ? Bytes(arena::at(run, size), size) : Bytes();
    const bool whole = bytes.size() >= sizeof task_;
    task_ = {};
    if (whole) std::memcpy(&task_, bytes.data(), sizeof task_);
    if (!whole || task_.job == 0 || task_.start >= task_.count) {
      // Left in the ring it would be met by every worker: this one takes it away, and says so.
      task_ = {};
      payload_ = {};
      return;
    }
    payload_ = bytes.subspan(sizeof task_);
    next_item_ = task_.start;
    last_size_ = 0;
    stage_claim(journal, claim_at(held->object, index_), task_, run, size);
  };
  sync::PassOn tasks(words.tasks.not_empty(), [&] { return !ring.empty(); });
  for (;;) {
    // Sequentially consistent, here and below, since those who call stop() and close() have no
    // lock: pairs with the exchanges there.
    if (words.stopped.load(std::memory_order_seq_cst) != 0) return ByteQueue::Got::shut_down;
    // Pairs with condemn(): after `idle` was stored, before a claim.
    if (slot.condemned.load(std::memory_order_seq_cst) != 0) {
      tasks.pass_on();
      await_verdict();
      continue;
    }
    if (ring.try_claim(message_, stage)) {
      if (task_.job != 0) break;
      tell(ResultKind::damaged);
      continue;
    }
    if (words.tasks.closed.load(std::memory_order_seq_cst) != 0 && ring.empty()) {
      return ByteQueue::Got::shut_down;
    }
    const Waited how = words.tasks.not_empty().wait(wait, held->budget, [&] {
      return !ring.empty() || words.tasks.closed.load(std::memory_order_seq_cst) != 0 ||
             words.stopped.load(std::memory_order_seq_cst) != 0;
    });
    tasks.waited();
    if (how == Waited::timed_out) return ByteQueue::Got::timed_out;
    if (how == Waited::interrupted) return ByteQueue::Got::interrupted;
  }
  FORKFUL_FAULT("pool.claimed");
  // Release: after the claim, see view(). A condemn() that misses it is repeated.
  slot.state.store(static_cast<std::uint32_t>(WorkerState::busy), std::memory_order_release);
  if (tasks.has_waited()) held->budget.yields().learn_found(ring.known_messages() + 1);
  return ByteQueue::Got::received;
}

// Sleeps until the client has killed this worker, or has let it go; for a slice at most, after
// which next() looks again, at `stopped` as well.
void TaskPool::Worker::await_verdict() {
  const Wait forever;
  (void)sync::Slices(forever).sleep(slot_of(pool_.held_, index_).condemned, 1);
}

void TaskPool::Worker::begin_item() {
  Claim& claim = slot_of(pool_.held_, index_).claim;
  // Release: pairs with recover(), which reads it when this process has ended.
  std::atomic_ref(claim.begun).store(next_item_ + 1, std::memory_order_release);
  FORKFUL_FAULT("pool.item.begun");
}

void TaskPool::Worker::commit_item(std::uint32_t status, std::span<const Bytes> result,
                                   Shares shares) {
  const std::size_t size = message::total_bytes(result);
  WorkerSlot& slot = slot_of(pool_.held_, index_);
  if (task_.count > 1) {
    append(status, result, size, shares);
    if (++next_item_ < task_.count) return;
    hand_in();
  } else {
    // Before the result goes; pairs with the look in condemn(), here and in hand_in().
    slot.state.store(static_cast<std::uint32_t>(WorkerState::idle), std::memory_order_seq_cst);
    struct {
      ResultHead head;
      ResultFrame frame;
    } begin{{task_.job, task_.first, 0, ResultKind::items, index_,
             pool::make_progress(1, sizeof(ResultFrame) + size)},
            {status, 0, size}};
    Outgoing message(pool::bytes_of(begin), result, false, shares);
    message.write();
    // Asked before: where the result goes as a block, its commit drops the task's.
    const bool had_block = slot.claim.payload != 0;
    const Offset claim = claim_at(pool_.held_->object, index_);
    when_there_is_room([&] {
      message.push(results_of(pool_.held_), claim + offsetof(Claim, job), [&](Journal& journal) {
        stage_drop(journal, claim + offsetof(Claim, payload));
      });
    });
    FORKFUL_FAULT("pool.item.committed");
    drop_payload();
    if (had_block) arena::bury_the_dying();  // what the task held
  }
  // Relaxed: a figure for views.
  slot.tasks_done.fetch_add(1, std::memory_order_relaxed);
}

// Adds a frame to the block of this chunk's results; the frame counts from the last store on.
void TaskPool::Worker::append(std::uint32_t status, std::span<const Bytes> result, std::size_t size,
                              Shares shares) {
  // A frame's head and a small value. Too little costs a larger block and a copy.
  constexpr std::uint64_t kGuessedFrame = 32;
  const Offset object = pool_.held_->object;
  const Offset word = claim_at(object, index_) + offsetof(Claim, results);
  const std::uint64_t need = sizeof(ResultFrame) + base::round_up(size, 8);
  // By the claim, which says whether there is one still: hand_in() gives each away.
  Offset block = slot_of(pool_.held_, index_).claim.results;
  const std::uint64_t had = block != 0 ? results_bytes_ : 0;
  std::uint64_t progress = block != 0 ? arena::at<ResultHead>(block).progress : 0;
  const std::uint64_t used = sizeof(ResultHead) + (progress & pool::kProgressBytes);
  // The end of the block is for what its frames name.
  if (used + need + arena::kRunEntryBytes > had) {
    const std::uint64_t guess =
        had != 0 ? had * 2 : sizeof(ResultHead) + task_.count * kGuessedFrame;
    // A page at least, so that it is a run and no small block.
    const std::uint64_t bytes =
        std::max({guess, used + need + arena::kRunEntryBytes, arena::kPageBytes});
    ArenaJournal journal;
    const Offset larger = arena::stage_allocate(journal, bytes);
    // The new block is free memory until the commit, so it is written plainly. A death before that
    // leaves the old one with all its frames.
    if (block != 0) {
      std::memcpy(arena::at(larger, bytes), arena::at(block, used), used);
      arena::stage_move_entry(journal, block, larger);
      arena::stage_free(journal, block, had);
    } else {
      arena::at<ResultHead>(larger) = {task_.job,         task_.first, task_.start,
                                       ResultKind::items, index_,      0};
    }
    journal.set(word, larger);
    journal.commit();
    block = larger;
    results_bytes_ = arena::run_bytes(block);
  }
  // Ahead of the frame, which counts from the last store on.
  if (!shares.empty()) message::hold_shares(block, shares);
  std::byte* to = arena::at(block, used + need) + used;
  const ResultFrame frame{status, 0, size};
  std::memcpy(to, &frame, sizeof frame);
  to += sizeof frame;
  // For last_result(): as offsets, since the block may move with the next frame.
  if (size != 0) {
    last_at_ = used + sizeof frame;
    last_size_ = size;
  }
  for (const Bytes part : result) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  progress += pool::make_progress(1, need);
  // Release: the frame before it; pairs with recover(), which counts the frames of a dead worker.
  std::atomic_ref(arena::at<ResultHead>(block).progress).store(progress, std::memory_order_release);
  FORKFUL_FAULT("pool.item.committed");
}

Bytes TaskPool::Worker::last_result() const {
  const Offset block = slot_of(pool_.held_, index_).claim.results;
  if (block == 0 || last_size_ == 0) return {};
  return Bytes(arena::at(block, last_at_ + last_size_) + last_at_, last_size_);
}

// The chunk's results become a message, and the claim ends, in one commit.
void TaskPool::Worker::hand_in() {
  const arena::Held* held = pool_.held_;
  const Offset claim = claim_at(held->object, index_);
  // Before the results go, as in commit_item(); pairs with the look in condemn().
  slot_of(held, index_)
      .state.store(static_cast<std::uint32_t>(WorkerState::idle), std::memory_order_seq_cst);
  const Offset block = slot_of(held, index_).claim.results;
  const std::uint64_t bytes =
      sizeof(ResultHead) + (arena::at<ResultHead>(block).progress & pool::kProgressBytes);
  Ring ring = results_of(held);
  when_there_is_room([&] {
    FORKFUL_FAULT("pool.pushing");
    must_be_sent(ring.try_push_run(block, bytes, [&](Journal& journal) {
      journal.set(claim + offsetof(Claim, results), 0);
      stage_drop(journal, claim + offsetof(Claim, payload));
      journal.set(claim + offsetof(Claim, job), 0);
    }));
  });
  payload_ = {};
  ring.words().not_empty().notify();
  arena::bury_the_dying();  // what the task held
}

// A result that is there is not given up because the ring of results cannot grow just now: the
// client makes room in it with each message that it takes, whether there is memory or not.
template <class Push>
void TaskPool::Worker::when_there_is_room(Push&& push) {
  constexpr std::int64_t kAgainNs = 5'000'000;  // no bell tells of room, and it is rare
  for (;;) {
    try {
      return push();
    } catch (const OsError& error) {
      // Nobody makes room for a pool that was stopped: its client waits for this process to end.
      if (error.error() != ENOSPC || words_of(pool_.held_).stopped.load() != 0) throw;
    }
    const std::atomic<std::uint32_t> nobody_wakes{0};
    (void)kernel::futex_wait(nobody_wakes, 0, kernel::monotonic_ns() + kAgainNs);
  }
}

// After a result that went as a record, whose commit is one store and can free nothing.
void TaskPool::Worker::drop_payload() {
  payload_ = {};
  if (slot_of(pool_.held_, index_).claim.payload == 0) return;
  ArenaJournal journal;
  stage_drop(journal, claim_at(pool_.held_->object, index_) + offsetof(Claim, payload));
  journal.commit();
}

void TaskPool::Worker::announce_leaving() { tell(ResultKind::leaving); }

void TaskPool::Worker::tell(ResultKind what) {
  const ResultHead head{0, 0, 0, what, index_, 0};
  when_there_is_room(
      [&] { Outgoing(pool::bytes_of(head), {}, false).push(results_of(pool_.held_)); });
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
