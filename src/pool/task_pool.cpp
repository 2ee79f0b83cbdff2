#include <algorithm>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/errors.hpp>
#include <stdexcept>

#include "arena/family.hpp"
#include "kernel/clock.hpp"
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

constexpr std::uint64_t kSlotsAt = base::round_up(sizeof(PoolWords), alignof(WorkerSlot));
constexpr std::uint32_t kMostWorkers = 4096;

Offset words_at(Offset object) { return object + arena::Held::body_at<PoolWords>(); }
Offset slot_at(Offset object, std::uint32_t worker) {
  return words_at(object) + kSlotsAt + worker * sizeof(WorkerSlot);
}
Offset claim_at(Offset object, std::uint32_t worker) {
  return slot_at(object, worker) + offsetof(WorkerSlot, claim);
}

PoolWords& words_of(const arena::Held* held) { return held->body<PoolWords>(); }
WorkerSlot& slot_of(const arena::Held* held, std::uint32_t worker) {
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
  arena::stage_free(journal, block, arena::run_bytes(block));
  journal.set(word, 0);
}

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
    if (ring.words().get.chunk.load(std::memory_order_relaxed) == 0) continue;
    (void)ring.take_apart(journal);
    return false;
  }
  return true;
}

const arena::OnLastRelease g_pools(arena::Kind::pool, take_apart);

// Sends `head` and the parts as one record, or as a block: when they are many bytes, or when the
// rest of them may have to be queued again.
void send(Ring ring, Bytes head, std::span<const Bytes> parts, bool as_block) {
  constexpr std::size_t kMostParts = 8;
  FORKFUL_CHECK(parts.size() < kMostParts);
  Bytes all[kMostParts];
  all[0] = head;
  for (std::size_t i = 0; i < parts.size(); ++i) all[i + 1] = parts[i];
  const std::span<const Bytes> message(all, parts.size() + 1);
  const std::size_t size = message::total_bytes(message);
  if (size <= kInlineBytes && !as_block) {
    FORKFUL_CHECK(ring.try_push(message, size) == Ring::Push::sent);
  } else {
    const Offset run = message::write_block(message, size);
    FORKFUL_CHECK(ring.try_push_run(run, size) == Ring::Push::sent);
  }
  ring.words().not_empty().ring();
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
      arena::Kind::pool, bytes,
      [](void* from, std::byte* object) {
        auto* words = new (object + arena::Held::body_at<PoolWords>()) PoolWords{};
        words->most_workers = static_cast<Context*>(from)->most_workers;
      },
      &context));
}

TaskPool TaskPool::adopt(Name name) {
  return TaskPool(arena::adopt_object(arena::Kind::pool, name.offset, name.serial));
}

std::uint32_t TaskPool::most_workers() const { return words_of(held_).most_workers; }

ResultReader::ResultReader(Bytes message) : rest_(message) {
  if (rest_.size() < sizeof head_) throw Error("a pool's result is damaged");
  std::memcpy(&head_, rest_.data(), sizeof head_);
  rest_ = rest_.subspan(sizeof head_);
  index_ = head_.first + head_.start - 1;
}

bool ResultReader::next() {
  if (seen_ == head_.progress >> 40) return false;
  ++seen_;
  ++index_;
  if (rest_.size() < sizeof frame_) throw Error("a pool's result is damaged");
  std::memcpy(&frame_, rest_.data(), sizeof frame_);
  rest_ = rest_.subspan(sizeof frame_);
  const std::uint64_t padded = base::round_up(frame_.size, 8);
  if (frame_.size > rest_.size()) throw Error("a pool's result is damaged");
  payload_ = rest_.first(frame_.size);
  rest_ = rest_.subspan(padded < rest_.size() ? padded : rest_.size());
  return true;
}

// --- client ---

void TaskPool::submit(const TaskHead& head, std::span<const Bytes> payload) const {
  send(tasks_of(held_), bytes_of(head), payload, head.count > 1);
}

bool TaskPool::take_back(TaskHead& head) const {
  ByteMessage message;
  if (!tasks_of(held_).try_pop(message)) return false;
  FORKFUL_CHECK(message.bytes().size() >= sizeof head);
  std::memcpy(&head, message.bytes().data(), sizeof head);
  return true;
}

std::uint32_t TaskPool::waiting_results() const { return results_of(held_).size(); }
std::uint32_t TaskPool::waiting_tasks() const { return tasks_of(held_).size(); }

ByteQueue::Got TaskPool::next_result(ByteMessage& into, Wait& wait) const {
  Ring ring = results_of(held_);
  into.reset();
  while (!ring.try_pop(into)) {
    const Waited how =
        ring.words().not_empty().wait(wait, held_->budget, [&] { return !ring.empty(); });
    if (how == Waited::timed_out) return ByteQueue::Got::timed_out;
    if (how == Waited::interrupted) return ByteQueue::Got::interrupted;
  }
  return ByteQueue::Got::received;
}

void TaskPool::close() const {
  words_of(held_).tasks.closed.exchange(1, std::memory_order_seq_cst);
  words_of(held_).tasks.not_empty().ring_all();
}

void TaskPool::stop() const {
  words_of(held_).stopped.exchange(1, std::memory_order_seq_cst);
  words_of(held_).tasks.not_empty().ring_all();
}

void TaskPool::clear_worker(std::uint32_t worker) const {
  FORKFUL_CHECK(worker < most_workers());
  const Offset claim = claim_at(held_->object, worker);
  for (const auto field : {offsetof(Claim, payload), offsetof(Claim, results)}) {
    ArenaJournal journal;
    stage_drop(journal, claim + field);
    journal.set(claim + offsetof(Claim, job), 0);
    journal.commit();
  }
  slot_of(held_, worker).state.store(0, std::memory_order_relaxed);
  slot_of(held_, worker).condemned.store(0, std::memory_order_relaxed);
  slot_of(held_, worker).tasks_done.store(0, std::memory_order_relaxed);
}

void TaskPool::finish_commits() const {
  // Who takes a journal's lock from a dead owner completes its commit.
  const Journal tasks(words_of(held_).tasks.get.journal);
  const ArenaJournal arena_too;
}

void TaskPool::recover(std::uint32_t worker, Lost& into) const {
  FORKFUL_CHECK(worker < most_workers());
  const Offset where = claim_at(held_->object, worker);
  const Claim claim = slot_of(held_, worker).claim;
  into.claimed = claim.job != 0;
  into.results.reset();
  if (!into.claimed) return;
  into.task = {claim.job, low_half(claim.items), high_half(claim.items), 0, 0, 0};
  if (claim.payload != 0) into.task = arena::at<TaskHead>(claim.payload);
  into.done = 0;
  if (claim.results != 0) {
    // The block becomes this member's, and the message frees it.
    {
      ArenaJournal journal;
      arena::stage_owner(journal, claim.results, sync::self().bits);
      journal.set(where + offsetof(Claim, results), 0);
      journal.commit();
    }
    into.results.take_block(claim.results, arena::run_bytes(claim.results));
    into.done =
        static_cast<std::uint32_t>(ResultReader(into.results.bytes()).head().progress >> 40);
  }
  const std::uint32_t next = into.task.start + into.done;
  into.running = claim.begun > next || (into.task.count == 1 && next == 0);
  const std::uint32_t rest = next + (into.running ? 1 : 0);
  if (claim.payload != 0 && rest < into.task.count) {
    {
      ArenaJournal journal;
      arena::stage_owner(journal, claim.payload, sync::self().bits);
      journal.set(where + offsetof(Claim, payload), 0);
      journal.commit();
    }
    arena::at<TaskHead>(claim.payload).start = rest;
    Ring ring = tasks_of(held_);
    FORKFUL_CHECK(ring.try_push_run(claim.payload, claim.payload_bytes) == Ring::Push::sent);
    ring.words().not_empty().ring();
  }
  clear_worker(worker);
}

TaskPool::WorkerView TaskPool::view(std::uint32_t worker) const {
  FORKFUL_CHECK(worker < most_workers());
  const WorkerSlot& slot = slot_of(held_, worker);
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
  // So either it sees the word, or this look sees that it is idle, or has another job since.
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
  slot_of(pool.held_, index)
      .state.store(static_cast<std::uint32_t>(WorkerState::idle), std::memory_order_seq_cst);
}

ByteQueue::Got TaskPool::Worker::next(Wait& wait) {
  arena::Held* held = pool_.held_;
  WorkerSlot& slot = slot_of(held, index_);
  PoolWords& words = words_of(held);
  Ring ring = tasks_of(held);
  const Offset claim = claim_at(held->object, index_);
  const auto stage = [&](Journal& journal, Offset run, std::size_t size, Bytes bytes) {
    std::memcpy(&task_, run != 0 ? arena::at(run, size) : bytes.data(), sizeof task_);
    payload_ = run != 0 ? Bytes(arena::at(run, size), size) : bytes;
    payload_ = payload_.subspan(sizeof task_);
    next_item_ = task_.start;
    journal.set(claim + offsetof(Claim, job), task_.job);
    journal.set(claim + offsetof(Claim, items), pool::pack(task_.count, task_.first));
    journal.set(claim + offsetof(Claim, begun), task_.start);
    journal.set(claim + offsetof(Claim, payload), run);
    journal.set(claim + offsetof(Claim, payload_bytes), size);
  };
  bool waited = false;
  for (;;) {
    if (words.stopped.load(std::memory_order_acquire) != 0) return ByteQueue::Got::shut_down;
    if (slot.condemned.load(std::memory_order_seq_cst) != 0) {
      await_verdict();
      continue;
    }
    if (ring.try_claim(message_, stage)) break;
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
  slot.state.store(static_cast<std::uint32_t>(WorkerState::busy), std::memory_order_seq_cst);
  if (waited && !ring.empty()) words.tasks.not_empty().ring();
  return ByteQueue::Got::received;
}

// Sleeps until the client has killed this worker, or has let it go.
void TaskPool::Worker::await_verdict() {
  constexpr std::int64_t kSliceNs = 100'000'000;
  const auto& word = slot_of(pool_.held_, index_).condemned;
  (void)kernel::futex_wait(word, 1, kernel::monotonic_ns() + kSliceNs);
}

void TaskPool::Worker::begin_item() {
  Claim& claim = slot_of(pool_.held_, index_).claim;
  std::atomic_ref(claim.begun).store(next_item_ + 1, std::memory_order_release);
  FORKFUL_FAULT("pool.item.begun");
}

void TaskPool::Worker::commit_item(std::uint32_t status, std::span<const Bytes> result) {
  const std::size_t size = message::total_bytes(result);
  WorkerSlot& slot = slot_of(pool_.held_, index_);
  if (task_.count > 1) {
    append(status, result, size);
    if (++next_item_ < task_.count) return;
    hand_in();
  } else {
    slot.state.store(static_cast<std::uint32_t>(WorkerState::idle), std::memory_order_seq_cst);
    struct {
      ResultHead head;
      ResultFrame frame;
    } begin{{task_.job, task_.first, 0, ResultKind::items, index_,
             pool::make_progress(1, sizeof(ResultFrame) + size)},
            {status, 0, size}};
    send(results_of(pool_.held_), bytes_of(begin), result, false);
    FORKFUL_FAULT("pool.item.committed");
    drop_payload();
  }
  slot.tasks_done.fetch_add(1, std::memory_order_relaxed);
}

// Adds a frame to the block of this chunk's results; the frame counts from the last store on.
void TaskPool::Worker::append(std::uint32_t status, std::span<const Bytes> result,
                              std::size_t size) {
  constexpr std::uint64_t kGuessedFrame = 32;
  const Offset object = pool_.held_->object;
  const Offset word = claim_at(object, index_) + offsetof(Claim, results);
  const std::uint64_t need = sizeof(ResultFrame) + base::round_up(size, 8);
  Offset block = slot_of(pool_.held_, index_).claim.results;
  const std::uint64_t had = block != 0 ? arena::run_bytes(block) : 0;
  std::uint64_t progress = block != 0 ? arena::at<ResultHead>(block).progress : 0;
  const std::uint64_t used = sizeof(ResultHead) + (progress & pool::kProgressBytes);
  if (used + need > had) {
    const std::uint64_t guess =
        had != 0 ? had * 2 : sizeof(ResultHead) + task_.count * kGuessedFrame;
    // Above what a cell may be, so that it is a run.
    const std::uint64_t bytes = std::max({guess, used + need, arena::kPageBytes});
    ArenaJournal journal;
    const Offset larger = arena::stage_allocate(journal, bytes);
    if (block != 0) {
      std::memcpy(arena::at(larger, bytes), arena::at(block, used), used);
      arena::stage_free(journal, block, had);
    } else {
      arena::at<ResultHead>(larger) = {task_.job,         task_.first, task_.start,
                                       ResultKind::items, index_,      0};
    }
    journal.set(word, larger);
    journal.commit();
    block = larger;
  }
  std::byte* to = arena::at(block, used + need) + used;
  const ResultFrame frame{status, 0, size};
  std::memcpy(to, &frame, sizeof frame);
  to += sizeof frame;
  for (const Bytes part : result) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  progress += pool::make_progress(1, need);
  std::atomic_ref(arena::at<ResultHead>(block).progress).store(progress, std::memory_order_release);
  FORKFUL_FAULT("pool.item.committed");
}

// The chunk's results become a message, and the claim ends, in one commit.
void TaskPool::Worker::hand_in() {
  const arena::Held* held = pool_.held_;
  const Offset claim = claim_at(held->object, index_);
  slot_of(held, index_)
      .state.store(static_cast<std::uint32_t>(WorkerState::idle), std::memory_order_seq_cst);
  const Offset block = slot_of(held, index_).claim.results;
  const std::uint64_t bytes =
      sizeof(ResultHead) + (arena::at<ResultHead>(block).progress & pool::kProgressBytes);
  Ring ring = results_of(held);
  FORKFUL_CHECK(ring.try_push_run(block, bytes, [&](Journal& journal) {
    journal.set(claim + offsetof(Claim, results), 0);
    stage_drop(journal, claim + offsetof(Claim, payload));
    journal.set(claim + offsetof(Claim, job), 0);
  }) == Ring::Push::sent);
  payload_ = {};
  ring.words().not_empty().ring();
}

void TaskPool::Worker::drop_payload() {
  payload_ = {};
  if (slot_of(pool_.held_, index_).claim.payload == 0) return;
  ArenaJournal journal;
  stage_drop(journal, claim_at(pool_.held_->object, index_) + offsetof(Claim, payload));
  journal.commit();
}

void TaskPool::Worker::announce_leaving() {
  const ResultHead head{0, 0, 0, ResultKind::leaving, index_, 0};
  send(results_of(pool_.held_), bytes_of(head), {}, false);
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
