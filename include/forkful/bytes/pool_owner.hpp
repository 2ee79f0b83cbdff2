// The rules by which the owner of a pool keeps it going, written once for both languages: which
// workers there are, when they are looked at, what is said of one that died, when the owner gives
// up, and how a pool ends. (Unstable; see pool.hpp.)
//
//   a slot:   empty ─► starting ─► running ─► ended ─► burying ─► empty
//                                    └─ leaving: says that it goes, and is replaced at once
//
// What each language does by itself: starting a process, and taking results out of the ring and
// decoding them. Why: Python decodes under the interpreter lock, which it gives away in the middle
// of it, and runs anybody's code meanwhile; so it can hold no mutex of C++'s there.
//
// Threads: the caller's lock guards it (a mutex, or the interpreter lock). A hook may let that lock
//          go and come back in, from this thread or another, so nothing is remembered over a call
//          of one: each slot's state says who works on it.
// Fork:    belongs to the process that made it.
#pragma once

#include <chrono>
#include <cstdint>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/detail/waits/thread_safety.hpp>
#include <forkful/wait.hpp>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace bytes {

// The baton, for clang's analysis of thread safety. It has no words: each language notes in its own
// way whether a thread has the baton, and which one.
class FORKFUL_CAPABILITY("baton") RightToCollect {};

// What is known of a worker's end, for the WorkerDied of either language.
struct Death {
  int pid = 0;             // 0: nobody's, the pool ends for another reason
  int exit_code = 0;       // minus the signal's number when one killed it
  std::uint32_t item = 0;  // index in its job of the item that it was running
  bool late = false;       // it was killed because the call took longer than it may
  std::string text;        // all of that in words

  [[nodiscard]] int signal() const { return exit_code < 0 ? -exit_code : 0; }
};

class PoolOwner {
 public:
  // What the owner needs done. Only start() may throw.
  class Hooks {
   public:
    // Starts a process that runs Worker(pool, slot). Its pid; 0 when it could not be started, and
    // the hook keeps the reason for give_up().
    virtual int start(std::uint32_t slot) = 0;
    // How the slot's process has ended, if it has. Reaps it, and touches no lock of the family.
    virtual std::optional<int> ended(std::uint32_t slot) = 0;
    // False: the process belongs to another user, and this process may not signal it.
    virtual bool send_signal(std::uint32_t slot, int signal) = 0;
    // What the slot's process is called.
    virtual std::string name(std::uint32_t slot) = 0;
    // The slot is free: what its process held in the family can be given back.
    virtual void give_back(std::uint32_t slot) = 0;
    // Results that a dead worker had ready, for a ResultReader. They may be taken.
    virtual void deliver(ByteMessage& results) = 0;
    // Whether the job is a single call, and has no items that a text could count.
    virtual bool is_one_call(std::uint64_t /*job*/) { return false; }
    // An item will have no result: it fails with that.
    virtual void lose(std::uint64_t job, const Death& why) = 0;
    // No worker is started any more; null: start() has the reason. Of workers that died at their
    // start it tells the last one's end; what may be the cause, the hook knows more of.
    virtual void give_up(const Death* why) = 0;
    // Around what may wait for a lock of the family, which a stopped process may have: the caller's
    // lock is given away meanwhile.
    virtual void pause() {}
    virtual void resume() {}

   protected:
    ~Hooks() = default;
  };

  enum class Phase { open, closed, stopped };

  // A worker's end shows nowhere else than in its process, which is asked this often by whoever
  // waits: a death has its answer within a few of these, and 300 idle workers cost below 1 % of a
  // CPU.
  static constexpr std::chrono::milliseconds kLookEvery{5};
  // Between the signals SIGTERM and SIGKILL when a pool is stopped.
  static constexpr std::chrono::milliseconds kGrace{1000};

  // `idle_grace`: how long workers that have nothing to do may leave by themselves, before SIGTERM,
  // when the pool is stopped. C++ gives them time, since what they registered with atexit() runs
  // then; the standard Pool of Python terminates at once.
  PoolOwner(std::uint32_t processes, std::chrono::milliseconds idle_grace, Hooks& hooks);

  [[nodiscard]] const TaskPool& tasks() const { return tasks_; }
  [[nodiscard]] std::uint32_t processes() const { return processes_; }
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] bool is_ours() const noexcept;
  // Workers are no longer started.
  [[nodiscard]] bool has_given_up() const { return given_up_; }
  // At most so many are kept running while the pool is open: for one that starts them on demand.
  void want(std::uint32_t count) { want_ = count; }
  // The first worker that dies ends the pool, for all its jobs. One that leaves in order, having no
  // task, is none of these.
  void end_with_a_worker() { ends_with_a_worker_ = true; }
  void start_no_more() { given_up_ = true; }
  // Workers that take tasks, or start just now.
  [[nodiscard]] std::uint32_t active() const;
  // No process runs that this one could end, nor waits to be buried.
  [[nodiscard]] bool empty() const;

  // Every kLookEvery while somebody waits: kills workers that are late, and buries those that have
  // ended.
  void look();
  // A look has found that workers are missing. Starting one takes longer than all the rest of a
  // burial. So whoever looks first tells the callers that wait for what was lost, and starts the
  // missing workers before its next wait; whoever stops waiting leaves that to the attendant.
  [[nodiscard]] bool has_vacancy() const { return vacant_ && !given_up_; }
  // Starts the workers that are missing. Throws: what start() throws.
  void start_missing();
  [[nodiscard]] bool is_time_to_look() const;
  // Of each message of results: true where it holds results; else the owner has had its news.
  bool note(const ResultHead& head);
  // Such a message, or a task, was written over: a job may wait for what is lost, so all end.
  void note_damage();

  // A job of one task may run only so long, from when a worker begins it.
  void limit(std::uint64_t job, std::chrono::nanoseconds time);
  // The job is done, or nobody wants it any more.
  void forget(std::uint64_t job) {
    if (!limits_.empty()) limits_.erase(job);
  }
  [[nodiscard]] bool has_limits() const { return !limits_.empty(); }

  // The pid of some worker that runs, for whoever waits for their ends (await_end()); 0: none does.
  [[nodiscard]] int running_pid() const;

  // No more calls: from now on workers are replaced only where tasks wait for one.
  void close();
  // Likewise, and workers leave when no task is waiting. Tasks may still be queued.
  void let_go();
  // The end, which nothing can hold up: every worker gets its last signal before a lock of the
  // family is touched, since a stopped worker may have one. Call end_step() when a worker has
  // ended, and every kLookEvery, until it says that all have ended, and then bury_all(). A worker
  // that this process may not signal, since it has changed its user, is left to itself: it goes
  // when this process is gone.
  void stop();
  [[nodiscard]] bool end_step();
  // Somebody is in a hurry: no more grace.
  void hurry();
  void bury_all();

 private:
  enum class WorkerState { empty, starting, running, ended, burying, out_of_reach };
  struct Worker {
    WorkerState state = WorkerState::empty;
    bool leaving = false;  // has said that it goes; its place is taken already
    int pid = 0;
    int exit_code = 0;
    std::string name;  // once it has ended
    std::thread::id starter;
    std::uint64_t seen_job = 0;  // the job it was seen to run, and since when
    std::int64_t seen_since_ns = 0;
  };
  struct Limit {
    std::int64_t time_ns;
    bool late = false;  // its worker is being killed
  };

  [[nodiscard]] std::uint32_t wanted() const;
  bool start_one();
  bool note_end(std::uint32_t slot);
  void bury(std::uint32_t slot);
  void end_late_tasks();
  void signal_all(int signal);
  [[nodiscard]] Death death_of(const Worker& worker, const TaskPool::Lost& lost);
  void give_up_for(const Worker& worker, bool never_ready);
  void note_early_death(const Worker& worker);

  const std::uint32_t processes_;
  const std::int64_t idle_grace_ns_;
  Hooks& hooks_;
  const TaskPool tasks_;
  const std::uint32_t member_;  // whose it is
  std::uint32_t want_;          // workers, while it is open
  Phase phase_ = Phase::open;
  bool given_up_ = false;
  bool ends_with_a_worker_ = false;
  bool vacant_ = false;          // the last look found fewer workers than there should be
  std::vector<Worker> workers_;  // by slot
  std::unordered_map<std::uint64_t, Limit> limits_;
  // Of workers that had not been ready for a task, since the last result.
  int early_exits_ = 0;
  int early_kills_ = 0;
  std::int64_t looked_ns_ = 0;
  std::uint64_t oom_kills_ = 0;
  int next_signal_ = 0;  // of the end
  std::int64_t next_signal_ns_ = 0;
};

// Waits for the end of a worker that runs, without any lock of the caller; a signal ends the wait.
// The pid may be another process's by now, which costs time only. With pid 0 it sleeps.
void await_end(int pid, Deadline until);

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
