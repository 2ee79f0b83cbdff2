// A pool as an object, and its client's everyday: tasks go out, results come in. TASK.md has a
// task's way, the words and who may write them, and what a death at each line leaves.
//
// Threads: results and tasks are taken out by whichever of the client's threads has the baton. Any
// may submit, close, stop and count.
#include <algorithm>
#include <atomic>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/errors.hpp>
#include <stdexcept>

#include "arena/shares.hpp"
#include "pool/outgoing.hpp"
#include "pool/parts.hpp"
#include "pool/words.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

using arena::Journal;
using base::Offset;
using channel::Ring;
using channel::RingWords;
using pool::bytes_of_pool;
using pool::Claim;
using pool::claim_at;
using pool::PoolWords;
using pool::results_of;
using pool::stage_drop;
using pool::tasks_of;
using pool::words_at;
using pool::words_of;
using pool::WorkerSlot;
using sync::IfStuck;

// Two slots for each of the 2,048 processes that a pool may have (executor/options.cpp): a worker
// that leaves has its slot until its end was seen.
constexpr std::uint32_t kMostWorkers = 4096;

// One block of a claim or one step of a ring at a time, when nobody holds the pool any more: a
// death in between leaves the rest on the list of the dying. With a number of workers that is
// written over, what lies after the object would be taken for claims; then what is claimed stays
// allocated.
bool take_apart(Journal& journal, Offset object) {
  const std::uint32_t said = arena::at<PoolWords>(words_at(object)).most_workers;
  const std::uint32_t workers = arena::is_allocated(object, bytes_of_pool(said)) ? said : 0;
  for (std::uint32_t i = 0; i < workers; ++i) {
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

}  // namespace

TaskPool TaskPool::create(std::uint32_t most_workers) {
  if (most_workers == 0 || most_workers > kMostWorkers) {
    throw std::invalid_argument("a pool has 1 to 4096 workers");
  }
  struct Context {
    std::uint32_t most_workers;
  } context{most_workers};
  return TaskPool(arena::create_object(
      arena::Kind::pool, {}, bytes_of_pool(most_workers),
      [](void* from, std::byte* object) {
        // The slots after it read zero: nobody is ready in them, and nothing is claimed.
        auto* words = new (object + arena::Held::body_at<PoolWords>()) PoolWords{};
        words->most_workers = static_cast<Context*>(from)->most_workers;
      },
      &context));
}

TaskPool TaskPool::adopt(Id id) {
  return TaskPool(arena::adopt_object<PoolWords>(arena::Kind::pool, id));
}

// No more than there is room for, whatever the word says by now.
std::uint32_t TaskPool::most_workers() const {
  const std::uint64_t room = (held_->bytes - bytes_of_pool(0)) / sizeof(WorkerSlot);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(words_of(held_).most_workers, room));
}

void TaskPool::submit(const TaskHead& head, std::span<const Bytes> payload, Shares shares) const {
  Wait forever;
  (void)submit(head, payload, shares, forever);
}

Waited TaskPool::submit(const TaskHead& head, std::span<const Bytes> payload, Shares shares,
                        Wait& wait) const {
  // A chunk is a block whatever its size, which recover() queues again for the rest of it.
  pool::Outgoing task(pool::bytes_of(head), payload, head.count > 1, shares, IfStuck::leave);
  const Waited how = sync::get_through(wait, [&] {
    task.write();
    task.push(tasks_of(held_));
  });
  // Here the lock is still stuck, so the block must not be waited for either.
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
  // The last message's block first: it may be the room that a worker's result waits for.
  into.reset();
  for (bool waited = false;; waited = true) {
    Waited how = Waited::done;
    try {
      if (ring.try_pop(into, IfStuck::leave)) {
        if (waited) held_->budget.yields().learn_found(ring.known_messages() + 1);
        return ByteQueue::Got::received;
      }
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
  // Pairs with the loads in Worker::next(), as in stop().
  words_of(held_).tasks.closed.exchange(1, std::memory_order_seq_cst);
  // All of them, whether or not the bell's bit says that somebody sleeps: see BELL.md, 6.
  words_of(held_).tasks.not_empty().wake_all();
}

// Pairs with the loads of `stopped` in Worker::next(). Sequentially consistent on both sides, since
// the two take no lock in common (see BELL.md, 1).
void TaskPool::stop() const {
  words_of(held_).stopped.exchange(1, std::memory_order_seq_cst);
  words_of(held_).tasks.not_empty().wake_all();
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
