// The shared side of a pool: tasks that workers pull, their claims, and results. (Unstable; see
// pool.hpp.)
//
//   client ──submit──► ring of tasks ──claim──► worker ──commit──► ring of results ──► client
//
// A task is a chunk of `count` items of one job, whose payload only the two languages' codecs
// understand. A claim is recorded in the worker's slot by the very store that takes the task from
// the ring, and each item's result is committed by one store, so a death loses the item that was
// running and nothing else.
//
// The client is one process; only it may call the functions under "client". It keeps the table of
// jobs, and so it alone decides whether a result is still awaited.
#pragma once

#include <cstdint>
#include <forkful/bytes/message.hpp>
#include <forkful/bytes/queue.hpp>
#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>
#include <span>

namespace forkful {
inline namespace v0 {
namespace bytes {

struct TaskHead {
  std::uint64_t job;       // never 0, never used twice by one client
  std::uint32_t first;     // index in the job of the chunk's item 0
  std::uint32_t count;     // items in the chunk
  std::uint32_t start;     // the items before it are done or lost: begin here
  std::uint32_t flags;     // the client's
  std::uint64_t function;  // the client's number for what to call, so that workers decode it once
};
static_assert(sizeof(TaskHead) == 32);

enum class ResultKind : std::uint32_t {
  items,    // frames of results
  leaving,  // the worker goes in order (it has run its share of tasks)
  damaged,  // the worker has met a task that somebody had written over, and dropped it
};

struct ResultHead {
  std::uint64_t job;
  std::uint32_t first;  // as in the task
  std::uint32_t start;  // the first frame is of item `start`
  ResultKind kind;
  std::uint32_t worker;    // index of the slot
  std::uint64_t progress;  // {frames:24 << 40 | bytes of frames:40}
};
static_assert(sizeof(ResultHead) == 32);

// One item's result; frames follow one another, each padded to 8 bytes.
struct ResultFrame {
  std::uint32_t status;  // the client's: value, error, …
  std::uint32_t reserved;
  std::uint64_t size;
};
static_assert(sizeof(ResultFrame) == 16);

// Walks the frames of a result message:
//   for (ResultReader r(message.bytes()); r.next();) use(r.index(), r.status(), r.payload());
class ResultReader {
 public:
  explicit ResultReader(Bytes message);
  [[nodiscard]] const ResultHead& head() const { return head_; }
  [[nodiscard]] bool next();
  [[nodiscard]] std::uint32_t index() const { return index_; }  // in the job
  [[nodiscard]] std::uint32_t status() const { return frame_.status; }
  [[nodiscard]] Bytes payload() const { return payload_; }

 private:
  ResultHead head_{};
  ResultFrame frame_{};
  Bytes rest_;
  Bytes payload_;
  std::uint32_t index_ = 0;
  std::uint32_t seen_ = 0;
};

class TaskPool : public Shared {
 public:
  TaskPool() = default;
  // `most_workers`: slots, which are used again when a worker is replaced.
  static TaskPool create(std::uint32_t most_workers);
  static TaskPool adopt(Id id);
  [[nodiscard]] std::uint32_t most_workers() const;

  // --- client ---

  // Queues a task; its payload is the parts one after the other. Never waits for room. The task
  // holds the objects that the payload names, `shares`, until it is handed in.
  // Throws: OsError(ENOSPC); nothing was queued then.
  void submit(const TaskHead& head, std::span<const Bytes> payload, Shares shares = {}) const;
  // Likewise; `wait` is for a member that is stopped while it has a lock that this needs. Nothing
  // was queued unless it is done.
  Waited submit(const TaskHead& head, std::span<const Bytes> payload, Shares shares,
                Wait& wait) const;
  [[nodiscard]] std::uint32_t waiting_tasks() const;

  [[nodiscard]] std::uint32_t waiting_results() const;
  // The next result message, for a ResultReader.
  ByteQueue::Got next_result(ByteMessage& into, Wait& wait) const;

  // Takes a task that no worker has claimed out of the queue; false when there is none.
  [[nodiscard]] bool take_back(TaskHead& head) const;

  // From now on workers leave when no task is waiting. Tasks may still be queued.
  void close() const;
  // Workers leave before they claim another task.
  void stop() const;

  // Empties slot `worker` for the next one to use it.
  void clear_worker(std::uint32_t worker) const;

  // Completes what a dead worker was committing, or forgets it. Waits for whoever commits. When a
  // worker's process has ended: first this, then recover().
  void finish_commits() const;

  // What a worker that has ended (in whatever way) had claimed and not handed in; the slot is clear
  // afterwards.
  struct Lost {
    bool claimed = false;  // false: it held no task, or only ones that were handed in
    TaskHead task{};
    std::uint32_t done = 0;  // items of this chunk with a result in `results` (from task.start on)
    bool running = false;    // item task.start + done had been begun: it is lost
    ByteMessage results;     // a result message with the frames of the items done
  };
  // Queues the items from `lost.task.start + lost.done + lost.running` on again, if there are any.
  // A task of one item that was claimed and not begun counts as running.
  // Throws: OsError(ENOSPC); the claim is whole then: try again when others have taken tasks.
  void recover(std::uint32_t worker, Lost& into) const;

  enum class WorkerState : std::uint32_t { none, idle, busy };  // none: not ready for tasks yet
  struct WorkerView {
    WorkerState state;
    std::uint64_t job;   // being run, or the last one
    std::uint32_t item;  // index in the job of the item being run
    std::uint64_t tasks_done;
  };
  [[nodiscard]] WorkerView view(std::uint32_t worker) const;

  // Whether a worker has claimed a task of `job` that it has not handed in. A worker that is missed
  // finds the job among those that were asked for before this call (bytes/cancellations.hpp), or
  // next_result() its result.
  [[nodiscard]] bool is_claimed(std::uint64_t job) const;

  // Marks a worker that is about to be killed because of its task. True: it runs `job`, and will
  // claim nothing after it, so its death costs that task alone. False: it does not run it any more,
  // and is not marked. Requires: the job has one task.
  [[nodiscard]] bool condemn(std::uint32_t worker, std::uint64_t job) const;

  // --- worker ---

  // One worker's end of the pool; lives in the worker's process.
  class Worker {
   public:
    Worker(const TaskPool& pool, std::uint32_t index);

    // Claims the next task. shut_down: leave.
    ByteQueue::Got next(Wait& wait);
    [[nodiscard]] const TaskHead& task() const { return task_; }
    [[nodiscard]] Bytes payload() const { return payload_; }

    // Before each item of the task, in order, beginning with item task().start.
    void begin_item();
    // The result of the item begun last; the message that brings it to the client holds `shares`.
    // The claim ends in the commit that sends the last item's.
    // Throws: OsError(ENOSPC); the item has no result then, and may be given a smaller one.
    void commit_item(std::uint32_t status, std::span<const Bytes> result, Shares shares = {});
    // The last result of this task that was not empty, as long as the task has items left.
    [[nodiscard]] Bytes last_result() const;

    // Tells the client that this worker goes, so that it is replaced at once.
    void announce_leaving();

   private:
    void await_verdict();
    void append(std::uint32_t status, std::span<const Bytes> result, std::size_t size,
                Shares shares);
    void hand_in();
    void tell(ResultKind what);
    template <class Push>
    void when_there_is_room(Push&& push);
    void drop_payload();

    const TaskPool& pool_;
    std::uint32_t index_;
    TaskHead task_{};
    ByteMessage message_;
    Bytes payload_;
    std::uint32_t next_item_ = 0;
    std::uint64_t results_bytes_ = 0;  // of the block in which a chunk's results gather
    std::uint64_t last_at_ = 0;        // in the block, as last_size_: last_result()
    std::uint64_t last_size_ = 0;
  };

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
