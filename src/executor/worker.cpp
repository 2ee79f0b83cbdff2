// A C++ worker's life: it adopts the pool, runs the initializer, and runs tasks until it is told to
// leave. Started by PoolClient::State::start() with a WorkerPlan.
//
// One thread. What a kill in the middle of a task leaves is TASK.md's. A task may fork, and the
// child may come back here; it ends then, since it is no worker.
#include "executor/worker.hpp"

#include <cstdio>
#include <exception>
#include <forkful/bytes/cancellations.hpp>
#include <forkful/bytes/family.hpp>
#include <forkful/bytes/own_worker.hpp>
#include <forkful/bytes/semaphore.hpp>
#include <forkful/detail/executor/task.hpp>

#include "kernel/child.hpp"
#include "process/start.hpp"
#include "sync/liveness.hpp"

namespace forkful {
namespace pool {

void end_forked(int exit_code) {
  std::fflush(nullptr);
  bytes::exit_now(exit_code);
}

namespace {

using bytes::ByteQueue;
using bytes::Cancellations;
using bytes::TaskPool;

// What it throws is said once, however many workers it ends.
void run_initializer(detail::Reader& from) {
  if (!from.raw<bool>()) return;
  const auto untold = bytes::RawSemaphore::adopt(from.raw<bytes::Shared::Id>());
  const auto entry = detail::function_at<void(bytes::Bytes)>(from.raw<detail::CodePlace>());
  const sync::MemberId me = sync::self();
  try {
    entry(from.rest());
  } catch (...) {
    // pthread_exit() comes through here as well and must go on; and a child that the initializer
    // has forked tells its failure by itself.
    const bool is_end_of_thread = std::current_exception() == nullptr;
    if (is_end_of_thread || sync::self() != me || untold.try_acquire()) throw;
    throw process::FailedInSilence();
  }
  // The permit goes back, so that the next initializer that throws is told as well.
  if (sync::self() == me && untold.value() == 0) (void)untold.release();
}

// Finds a task's code; the last one found is kept, since tasks come in long rows of one kind.
class CodeCache {
 public:
  detail::TaskCode* find(detail::CodePlace place) {
    if (code_ == nullptr || place != place_) {
      code_ = detail::function_at<detail::TaskCode>(place);
      place_ = place;
    }
    return code_;
  }

 private:
  detail::CodePlace place_{};
  detail::TaskCode* code_ = nullptr;
};

void run_task(TaskPool::Worker& worker, CodeCache& code, detail::Writer& result, bool cancelled) {
  detail::TaskRun run(worker, result);
  try {
    // Handed in as a result, by which the client hears that it can remove the job from the list.
    if (cancelled) throw Cancelled("the task was cancelled before it ran");
    code.find(run.code())(run);
  } catch (...) {
    run.fail_all();
  }
}

}  // namespace

void run_worker(bytes::Bytes payload) {
  detail::Reader from(payload);
  const auto plan = from.raw<WorkerPlan>();
  const TaskPool tasks = TaskPool::adopt(plan.tasks);
  const auto cancellations = Cancellations::adopt(plan.cancellations);
  const sync::MemberId me = sync::self();
  run_initializer(from);
  if (sync::self() != me) end_forked(0);
  TaskPool::Worker worker(tasks, plan.slot);
  CodeCache code;
  detail::Writer result;
  for (std::uint32_t done = 0; plan.most_tasks == 0 || done < plan.most_tasks; ++done) {
    Wait wait;
    if (worker.next(wait) != ByteQueue::Got::received) return;
    run_task(worker, code, result, cancellations.refuses(worker.task().job));
  }
  worker.announce_leaving();
}

}  // namespace pool

inline namespace v0 {
namespace detail {

namespace {

// pthread_exit() and the cancellation of a thread unwind the stack as an exception does, to the end
// of the thread, which is the worker's only one. No C++ exception is current then.
void end_with_thread() {
  if (std::current_exception() != nullptr) return;
  std::fputs("forkful: a task ended its thread, and so its worker\n", stderr);
  kernel::exit_now(1);
}

}  // namespace

TaskRun::TaskRun(bytes::TaskPool::Worker& worker, Writer& result)
    : worker_(worker), result_(result), rest_(worker.payload()) {
  code_ = rest_.raw<CodePlace>();
  captures_ = read_sized(rest_);
}

bool TaskRun::next() {
  // Those before `start` were done or lost by a worker that died.
  for (; item_index_ < worker_.task().start; ++item_index_) (void)read_sized(rest_);
  if (item_index_ == worker_.task().count) return false;
  item_ = read_sized(rest_);
  result_.clear();
  worker_.begin_item();
  begun_ = true;
  return true;
}

void TaskRun::commit(TaskStatus status) {
  if (!bytes::is_worker()) pool::end_forked(status == kValue ? 0 : 1);
  const Bytes result = result_.view();
  worker_.commit_item(status, {&result, 1}, result_.shares());
  begun_ = false;
  ++item_index_;
}

void TaskRun::commit_value() { commit(kValue); }

void TaskRun::commit_exception() {
  end_with_thread();
  result_.clear();
  write_current_exception(result_);
  commit(kException);
}

// For what went wrong outside an item: its code or captures cannot be had here, so no item can be
// run.
void TaskRun::fail_all() {
  Writer error;
  write_current_exception(error);
  while (begun_ || next()) {
    result_.clear();
    result_.bytes(error.view().data(), error.view().size());
    commit(kException);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
