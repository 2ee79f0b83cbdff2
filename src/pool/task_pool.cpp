// A pool's tasks, claims and results in shared memory, as client and workers of both languages use
// them. TASK.md has a task's way, the words and who may write them, and what a death at each line
// leaves.
//
// Threads: the client's calls come from whichever of its threads has the baton (submit() from any);
// a Worker belongs to its process's one thread that works.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <forkful/bytes/own_worker.hpp>
#include <forkful/bytes/part_list.hpp>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/errors.hpp>
#include <stdexcept>

#include "arena/own_run.hpp"
#include "arena/shares.hpp"
#include "base/check.hpp"
#include "kernel/fault.hpp"
#include "kernel/futex.hpp"
#include "message/block.hpp"
#include "pool/words.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

using arena::ArenaJournal;
using arena::Journal;
using base::Offset;
using channel::Ring;
using channel::RingWords;
using pool::Claim;
using pool::high_half;
using pool::low_half;
using pool::PoolWords;
using pool::WorkerSlot;
using sync::IfStuck;

constexpr std::uint64_t kSlotsAt = base::round_up(sizeof(PoolWords), alignof(WorkerSlot));
// Two slots for each of the 2,048 processes that a pool may have (executor/options.cpp): a worker
// that leaves has its slot until its end was seen.
constexpr std::uint32_t kMostWorkers = 4096;

// The member that has made a Worker, as its last one did. Why relaxed: a process asks about itself.
std::atomic<std::uint32_t> g_worker{0};

Offset words_at(Offset object) { return object + arena::Held::body_at<PoolWords>(); }
Offset slot_at(Offset object, std::uint32_t worker) {
  return words_at(object) + kSlotsAt + worker * sizeof(WorkerSlot);
}
Offset claim_at(Offset object, std::uint32_t worker) {
  return slot_at(object, worker) + offsetof(WorkerSlot, claim);
}

// Neither ring of a pool has a bound.
void must_be_sent(Ring::Push how) { FORKFUL_CHECK(how == Ring::Push::sent); }

PoolWords& words_of(const arena::Held* held) { return held->body<PoolWords>(); }
[[gnu::always_inline]] inline WorkerSlot& slot_of(const arena::Held* held, std::uint32_t worker) {
  return arena::at<WorkerSlot>(slot_at(held->object, worker));
}
Ring tasks_of(const arena::Held* held) {
  return {words_of(held).tasks, words_at(held->object) + offsetof(PoolWords, tasks)};
}
Ring results_of(const arena::Held* held) {
  return {words_of(held).results, words_at(held->object) + offsetof(PoolWords, results)};
}

// Stages the release of a block that a claim refers to.
void stage_drop(Journal& journal, Offset word) {
  const Offset block = journal.get(word);
  if (block == 0) return;
  if (arena::is_run(block, 1)) arena::stage_free(journal, block, arena::run_bytes(block));
  journal.set(word, 0);
}

// One block of a claim or one step of a ring at a time, when nobody holds the pool any more.
bool take_apart(Journal& journal, Offset object) {
  auto& words = arena::at<PoolWords>(words_at(object));
  for (std::uint32_t i = 0; i < words.most_workers; ++i) {
    const Offset claim = claim_at(object, i);
    for (const auto field : {offsetof(Claim, payload), offsetof(Claim, results)}) {
      if (journal.get(claim + field) == 0) continue;
      stage_drop(journal, claim + field);
      return false;
    }
  }
  for (const auto field : {offsetof(PoolWords, tasks), offsetof(PoolWords, results)}) {
    const Offset ring_at = words_at(object) + field;
    Ring ring(arena::at<RingWords>(ring_at), ring_at);
    if (ring.words().get.segment.load(std::memory_order_relaxed) == 0) continue;
    (void)ring.take_apart(journal);
    return false;
  }
  return true;
}

const arena::OnLastRelease g_pools(arena::Kind::pool, take_apart);

// A message of a head and some parts, which goes out as one record, or as a block: when it is many
// bytes, or names objects, or when the rest of it may have to be queued again.
class Outgoing {
 public:
  Outgoing(Bytes head, std::span<const Bytes> parts, bool as_block, Shares shares = {},
           IfStuck if_stuck = IfStuck::wait)
      : if_stuck_(if_stuck), shares_(shares) {
    message_.add(head);
    for (const Bytes part : parts) message_.add(part);
    size_ = message::total_bytes(message_.span());
    as_block_ = size_ > kInlineBytes || as_block || !shares.empty();
  }
  // Its block, where it needs one; before push().
  // Throws: OsError(ENOSPC); sync::StuckLock, with IfStuck::leave. It may be called again then.
  void write() {
    if (!as_block_ || run_) return;
    run_ = arena::OwnRun(message::write_block(message_.span(), size_, shares_, 0, if_stuck_));
  }
  // The word at `clears` becomes 0 in the same commit, and `also` is staged with a block.
  // Throws: OsError(ENOSPC), where the ring has to grow, and as write(); nothing was sent then,
  // and it may be tried again.
  void push(Ring ring, Offset clears = 0, const std::function<void(Journal&)>& also = {}) {
    FORKFUL_FAULT("pool.pushing");
    if (!run_) {
      must_be_sent(ring.try_push(message_.span(), size_, clears, if_stuck_));
    } else {
      const auto stage = [&](Journal& journal) {
        if (clears != 0) journal.set(clears, 0);
        if (also) also(journal);
      };
      must_be_sent(ring.try_push_run(run_.get(), size_, stage, if_stuck_));
      run_.release();  // it is the ring's
    }
    ring.words().not_empty().notify();
  }
  void give_up() { run_.free_unless_stuck(); }

 private:
  IfStuck if_stuck_;
  Shares shares_;
  PartList message_;
  std::size_t size_ = 0;
  bool as_block_ = false;
  arena::OwnRun run_;
};

// What a claim refers to, as far as it is believable: any member may have written over it.
Offset believable(Offset block, std::uint64_t least_bytes) {
  return block != 0 && arena::is_run(block, least_bytes) ? block : 0;
}

template <class T>
Bytes bytes_of(const T& object) {
  return std::as_bytes(std::span(&object, 1));
}

}  // namespace

// --- both ---

TaskPool TaskPool::create(std::uint32_t most_workers) {
  if (most_workers == 0 || most_workers > kMostWorkers) {
    throw std::invalid_argument("a pool has 1 to 4096 workers");
  }
  struct Context {
    std::uint32_t most_workers;
  } context{most_workers};
  const std::uint64_t bytes =
      arena::Held::body_at<PoolWords>() + kSlotsAt + most_workers * sizeof(WorkerSlot);
  return TaskPool(arena::create_object(
      arena::Kind::pool, {}, bytes,
      [](void* from, std::byte* object) {
        auto* words = new (object + arena::Held::body_at<PoolWords>()) PoolWords{};
        words->most_workers = static_cast<Context*>(from)->most_workers;
      },
      &context));
}

TaskPool TaskPool::adopt(Id id) {
  return TaskPool(arena::adopt_object<PoolWords>(arena::Kind::pool, id));
}

std::uint32_t TaskPool::most_workers() const { return words_of(held_).most_workers; }

ResultReader::ResultReader(Bytes message) : rest_(message) {
  if (rest_.size() < sizeof head_) throw Error("a pool's result is damaged");
  std::memcpy(&head_, rest_.data(), sizeof head_);
  rest_ = rest_.subspan(sizeof head_);
  // next() counts up before it shows a frame.
  index_ = head_.first + head_.start - 1;
}

bool ResultReader::next() {
  if (seen_ == head_.progress >> 40) return false;
  ++seen_;
  ++index_;
  if (rest_.size() < sizeof frame_) throw Error("a pool's result is damaged");
  std::memcpy(&frame_, rest_.data(), sizeof frame_);
  rest_ = rest_.subspan(sizeof frame_);
  // The last frame's padding may be missing, and sizes are another process's.
  const std::uint64_t padded = base::round_up(frame_.size, 8);
  if (frame_.size > rest_.size()) throw Error("a pool's result is damaged");
  payload_ = rest_.first(frame_.size);
  rest_ = rest_.subspan(padded < rest_.size() ? padded : rest_.size());
  return true;
}

// --- client ---

void TaskPool::submit(const TaskHead& head, std::span<const Bytes> payload, Shares shares) const {
  Wait forever;
  (void)submit(head, payload, shares, forever);
}

Waited TaskPool::submit(const TaskHead& head, std::span<const Bytes> payload, Shares shares,
                        Wait& wait) const {
  Outgoing task(bytes_of(head), payload, head.count > 1, shares, IfStuck::leave);
  const Waited how = sync::get_through(wait, [&] {
    task.write();
    task.push(tasks_of(held_));
  });
  if (how != Waited::done) task.give_up();
  return how;
}

// As a worker would claim it, but nobody runs it: the message, and what it holds, ends here.
bool TaskPool::take_back(TaskHead& head) const {
  ByteMessage message;
  if (!tasks_of(held_).try_pop(message)) return false;
  if (message.bytes().size() < sizeof head) throw Error("a pool's task is damaged");
  std::memcpy(&head, message.bytes().data(), sizeof head);
  return true;
}

std::uint32_t TaskPool::waiting_results() const { return results_of(held_).size(); }
std::uint32_t TaskPool::waiting_tasks() const { return tasks_of(held_).size(); }

ByteQueue::Got TaskPool::next_result(ByteMessage& into, Wait& wait) const {
  Ring ring = results_of(held_);
  into.reset();
  for (;;) {
    Waited how = Waited::done;
    try {
      if (ring.try_pop(into, IfStuck::leave)) return ByteQueue::Got::received;
      how = ring.words().not_empty().wait(wait, held_->budget, [&] { return !ring.empty(); });
    } catch (const sync::StuckLock& stuck) {
      // A client that polls has more to do: the worker that is stopped may be due to be killed.
      how = wait.deadline.is_poll() ? Waited::timed_out : sync::await_stuck(stuck, wait);
    }
    if (how == Waited::timed_out) return ByteQueue::Got::timed_out;
    if (how == Waited::interrupted) return ByteQueue::Got::interrupted;
  }
}

void TaskPool::close() const {
  // Pairs with the acquire loads in Worker::next(), as in stop().
  words_of(held_).tasks.closed.exchange(1, std::memory_order_seq_cst);
  words_of(held_).tasks.not_empty().notify_all();
}

// Pairs with the acquire loads of `stopped` in Worker::next(). An exchange, since notifications
// want a read-modify-write before them (see BELL.md, 1).
void TaskPool::stop() const {
  words_of(held_).stopped.exchange(1, std::memory_order_seq_cst);
  words_of(held_).tasks.not_empty().notify_all();
}

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
      must_be_sent(ring.try_push_run(payload, claim.payload_bytes, [&](Journal& journal) {
        static_assert(offsetof(TaskHead, flags) == offsetof(TaskHead, start) + 4);
        journal.set(payload + offsetof(TaskHead, start), pool::pack(into.task.flags, rest));
        journal.set(where + offsetof(Claim, payload), 0);
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

// --- worker ---

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
  const Offset claim = claim_at(held->object, index_);
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
    journal.set(claim + offsetof(Claim, job), task_.job);
    journal.set(claim + offsetof(Claim, items), pool::pack(task_.count, task_.first));
    journal.set(claim + offsetof(Claim, begun), task_.start);
    journal.set(claim + offsetof(Claim, payload), run);
    journal.set(claim + offsetof(Claim, payload_bytes), size);
  };
  bool waited = false;
  for (;;) {
    // Acquire, here and below: pairs with the exchanges in stop() and close().
    if (words.stopped.load(std::memory_order_acquire) != 0) return ByteQueue::Got::shut_down;
    // Pairs with condemn(): after `idle` was stored, before a claim.
    if (slot.condemned.load(std::memory_order_seq_cst) != 0) {
      await_verdict();
      continue;
    }
    if (ring.try_claim(message_, stage)) {
      if (task_.job != 0) break;
      tell(ResultKind::damaged);
      continue;
    }
    if (words.tasks.closed.load(std::memory_order_acquire) != 0 && ring.empty()) {
      return ByteQueue::Got::shut_down;
    }
    const Waited how = words.tasks.not_empty().wait(wait, held->budget, [&] {
      return !ring.empty() || words.tasks.closed.load(std::memory_order_acquire) != 0 ||
             words.stopped.load(std::memory_order_acquire) != 0;
    });
    if (how == Waited::timed_out) return ByteQueue::Got::timed_out;
    if (how == Waited::interrupted) return ByteQueue::Got::interrupted;
    waited = true;
  }
  FORKFUL_FAULT("pool.claimed");
  // Release: after the claim, see view(). A condemn() that misses it is repeated.
  slot.state.store(static_cast<std::uint32_t>(WorkerState::busy), std::memory_order_release);
  if (waited && !ring.empty()) words.tasks.not_empty().notify();
  return ByteQueue::Got::received;
}

// Sleeps until the client has killed this worker, or has let it go.
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
    Outgoing message(bytes_of(begin), result, false, shares);
    message.write();
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
  for (const Bytes part : result) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  progress += pool::make_progress(1, need);
  // Release: the frame before it; pairs with recover(), which counts the frames of a dead worker.
  std::atomic_ref(arena::at<ResultHead>(block).progress).store(progress, std::memory_order_release);
  FORKFUL_FAULT("pool.item.committed");
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
      if (error.error() != ENOSPC || words_of(pool_.held_).stopped.load() != 0) throw;
    }
    const std::atomic<std::uint32_t> nobody_wakes{0};
    (void)kernel::futex_wait(nobody_wakes, 0, kernel::monotonic_ns() + kAgainNs);
  }
}

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
  when_there_is_room([&] { Outgoing(bytes_of(head), {}, false).push(results_of(pool_.held_)); });
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
