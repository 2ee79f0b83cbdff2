// The count of a JoinableQueue: how many messages are done with, compared with how many the queue
// was given. Nothing has to be kept in step, so there is no lock and nothing to repair.
#include <forkful/bytes/task_count.hpp>

#include "arena/shares.hpp"
#include "kernel/fault.hpp"
#include "sync/bell.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

struct TaskCountWords {
  std::atomic<std::uint32_t> done;  // modulo 2^32, as the queue counts its puts
  sync::Bell all_done;
};
static_assert(sizeof(TaskCountWords) == 16);

}  // namespace

TaskCount TaskCount::create(const Label& label) {
  return TaskCount(arena::create_object<TaskCountWords>(arena::Kind::task_count, label));
}

TaskCount TaskCount::adopt(Id id) {
  return TaskCount(arena::adopt_object<TaskCountWords>(arena::Kind::task_count, id));
}

bool TaskCount::task_done(const ByteQueue& queue) const {
  auto& words = held_->body<TaskCountWords>();
  // Acquire: pairs with the exchange below, by which others have counted, so the look at the puts
  // sees the message of each report that is counted here. Or it might come first, and what is done
  // would seem to be all that was put, or more.
  std::uint32_t done = words.done.load(std::memory_order_acquire);
  do {
    if (done == queue.puts()) return false;
    // Release: pairs with the load in unfinished(), so whoever has joined sees what was done.
    // Sequentially consistent for the bell: see BELL.md, 1.
  } while (!words.done.compare_exchange_weak(done, done + 1, std::memory_order_seq_cst));
  FORKFUL_FAULT("task_count.counted");
  // Race: a message put meanwhile makes the two differ, and then its own task_done() notifies.
  if (done + 1 == queue.puts()) words.all_done.notify_all();
  return true;
}

Waited TaskCount::join(const ByteQueue& queue, Wait& wait) const {
  return held_->body<TaskCountWords>().all_done.wait(wait, held_->budget,
                                                     [&] { return unfinished(queue) == 0; });
}

std::uint32_t TaskCount::unfinished(const ByteQueue& queue) const {
  const auto& words = held_->body<TaskCountWords>();
  // Race: more may be put and done between the two looks, so the first is taken first.
  // Pairs with the exchange in task_done().
  const std::uint32_t done = words.done.load(std::memory_order_seq_cst);
  return queue.puts() - done;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
