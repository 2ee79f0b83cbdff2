// A whole arena: one with an object of each kind in it, some words of which are written over before
// the family goes on using it. Each in a process of its own, which an alarm ends.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <forkful/bytes/barrier.hpp>
#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/condition.hpp>
#include <forkful/bytes/event.hpp>
#include <forkful/bytes/lock.hpp>
#include <forkful/bytes/queue.hpp>
#include <forkful/bytes/semaphore.hpp>
#include <forkful/bytes/task_count.hpp>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/errors.hpp>
#include <random>
#include <string>

#include "arena/awake.hpp"
#include "arena/own_run.hpp"
#include "base/check.hpp"
#include "image.hpp"
#include "pool/words.hpp"

namespace forkful::fuzz::arena {
namespace {

using namespace forkful::arena;
using namespace forkful::bytes;
using pool::PoolWords;
using pool::WorkerSlot;

// A family of one process, and of one member that has died.
class Family {
 public:
  Family() {
    put(queue_, 10);
    put(queue_, 6000);
    put(bounded_, 10);
    const Shared carried = lock_;
    put(queue_, 20, {&carried, 1});
    submit(1);
    submit(3);
    runs_.emplace_back(allocate_run(3 * kPageBytes));
    gone_ = reserve_member(0, sync::self(), sync::self());
  }

  // Writes over some words, as the input says which.
  void damage(Choices& from) {
    constexpr unsigned kMostWords = 8;
    for (unsigned words = 1 + from.pick(kMostWords); words > 0 && from.any(); --words) {
      tolerate([&] {
        const Offset where = somewhere(from);
        auto& word = at<std::uint64_t>(where / 8 * 8);
        word = something(word, from);
      });
    }
    free_locks();
  }

  void go_on(Choices& from) {
    constexpr int kMostSteps = 64;
    for (int i = 0; i < kMostSteps && from.any(); ++i) {
      tolerate([&] { step(from.pick(32), from); });
    }
  }

 private:
  static constexpr std::size_t kObjects = 11;

  static void put(const ByteQueue& queue, std::size_t size, Shares shares = {}) {
    const std::string text(size, 'm');
    const Bytes part = std::as_bytes(std::span(text));
    Wait poll(Deadline::poll());
    (void)queue.put({&part, 1}, poll, shares);
  }
  static void get(const ByteQueue& queue) {
    ByteMessage message;
    Wait poll(Deadline::poll());
    if (queue.get(message, poll) != ByteQueue::Got::received || message.bytes().empty()) return;
    (void)message.data()[message.bytes().size() - 1];
  }
  void submit(std::uint32_t count) {
    const std::uint64_t number = 5;
    const Bytes part = std::as_bytes(std::span(&number, 1));
    pool_.submit({next_job_++, 0, count, 0, 0, 0}, {&part, 1});
  }

  // Where the objects begin, by what this process knows of them.
  [[nodiscard]] std::array<Offset, kObjects> objects() const {
    return {queue_.id().offset,     bounded_.id().offset, lock_.id().offset,
            rlock_.id().offset,     event_.id().offset,   semaphore_.id().offset,
            condition_.id().offset, barrier_.id().offset, cell_.id().offset,
            count_.id().offset,     pool_.id().offset};
  }

  [[nodiscard]] Offset somewhere(Choices& from) const {
    const unsigned what = from.pick(8);
    const std::uint64_t index = from.number<std::uint16_t>();
    const Offset object = objects()[from.pick(kObjects)];
    switch (what) {
      case 0:  // the header, all but its magic number
        return kHeaderAt + 16 + index % ((sizeof(Header) - 16) / 8) * 8;
      case 1:
        return kHeaderAt + offsetof(Header, used_pages) +
               index % ((offsetof(Header, windows_taken) - offsetof(Header, used_pages)) / 8) * 8;
      case 2:  // the words of pages: the heap gives them out from the window's end
        return (kPagesPerWindow - 1 - index / 4 % 64) * sizeof(PageWords) + index % 4 * 8;
      case 3:
        return kMembersAt + sizeof(Member) + index % (3 * sizeof(Member) / 8) * 8;
      case 4:
        return member(sync::self()).holdings + index % 16 * 8;
      case 5: {  // a segment of a ring
        const bool tasks = index % 2 == 1;
        const Offset words = (tasks ? pool_ : static_cast<const Shared&>(queue_)).id().offset +
                             Held::body_at<channel::RingWords>();
        return at<channel::RingWords>(words).get.segment + index / 2 % 64 * 8;
      }
      case 6:  // an object's body, of which all but the pool's are shorter than this
        return object + index % (at<ObjectHeader>(object).bytes / 8) * 8;
      default:
        return object + index % 32 * 8;
    }
  }

  static std::uint64_t something(std::uint64_t was, Choices& from) {
    switch (from.pick(6)) {
      case 0:
        return from.number();
      case 1:
        return from.number<std::uint16_t>();
      case 2:
        return was ^ std::uint64_t{1} << from.pick(64);
      case 3:
        return was + (std::uint64_t{from.pick(5)} - 2) * kPageBytes;
      case 4:
        return kWindowBytes - (1 + from.pick(64)) * kPageBytes;
      default:
        return kWindowBytes - (1 + std::uint64_t{from.number<std::uint16_t>()}) * 64;
    }
  }

  // A lock whose owner lives is waited for, for ever. That is what any program may do to another by
  // stopping in a lock, and is not looked at here; nor is a worker that waits for its verdict.
  void free_locks() const {
    std::vector<sync::OwnerWord*> locks{&header().journal.lock};
    const auto add = [&](Offset ring_at) {
      auto& words = at<channel::RingWords>(ring_at);
      locks.push_back(&words.put.lock);
      locks.push_back(&words.get.journal.lock);
    };
    for (const ByteQueue* queue : {&queue_, &bounded_}) {
      add(queue->id().offset + Held::body_at<channel::RingWords>());
    }
    const Offset words = pool_.id().offset + Held::body_at<PoolWords>();
    add(words + offsetof(PoolWords, tasks));
    add(words + offsetof(PoolWords, results));
    for (sync::OwnerWord* lock : locks) {
      if (would_wait(*lock)) (void)lock->unlock();
    }
    const Offset slots = words + base::round_up(sizeof(PoolWords), alignof(WorkerSlot));
    for (Offset slot : {slots, slots + sizeof(WorkerSlot)}) at<WorkerSlot>(slot).condemned = 0;
  }

  // Whether `which` is one of a pool's.
  bool step_pool(unsigned which, Choices& from) {
    switch (which) {
      case 11:
        submit(1 + from.pick(4));
        return true;
      case 12:
      case 13:
        work();
        return true;
      case 14:
        collect();
        return true;
      case 15: {
        TaskPool::Lost lost;
        pool_.finish_commits();
        pool_.recover(from.pick(2), lost);
        for (ResultReader results(lost.results.bytes()); results.next();) {
        }
        return true;
      }
      case 16: {
        TaskHead head{};
        (void)pool_.take_back(head);
        return true;
      }
      default:
        return false;
    }
  }

  // Likewise, of the heap or of the members.
  bool step_heap(unsigned which, Choices& from) {
    switch (which) {
      case 17:
        runs_.emplace_back(allocate_run(from.number<std::uint16_t>() * std::uint64_t{16} + 1));
        return true;
      case 18:
        if (!runs_.empty()) runs_.pop_back();
        return true;
      case 19:
        cells_.push_back(Cell::create(1 + from.number<std::uint16_t>() % 9000));
        return true;
      case 20:
        if (!cells_.empty()) cells_.pop_back();
        return true;
      case 21:
        if (gone_) reap(std::exchange(gone_, {}), End::died);
        gone_ = reserve_member(0, sync::self(), sync::self());
        return true;
      default:
        return false;
    }
  }

  void step(unsigned which, Choices& from) {
    if (step_pool(which, from) || step_heap(which, from)) return;
    switch (which) {
      case 0:
        return put(queue_, from.number<std::uint16_t>() % 10'000);
      case 1:
      case 2:
        return get(queue_);
      case 3:
        return put(bounded_, 100);
      case 4:
        return get(bounded_);
      case 5: {
        const Shared carried = from.pick(2) == 0 ? static_cast<const Shared&>(event_) : cell_;
        return put(queue_, 30, {&carried, 1});
      }
      case 6:
        (void)ByteQueue::adopt(queue_.id());
        (void)RawLock::adopt(lock_.id());
        return;
      case 7:
        return use_locks();
      case 8:
        return use_condition();
      case 9:
        return use_barrier();
      case 10:
        return use_others();
      case 22:
        return drop(from.pick(6));
      case 23:
        (void)queue_.size();
        (void)bounded_.full();
        (void)children_of(sync::self());
        (void)room_to_spin();
        return;
      case 24:
        return fork();
      default:
        return get(queue_);
    }
  }

  void use_locks() const {
    Wait poll(Deadline::poll());
    if (lock_.acquire(poll) == Acquired::owner_died) (void)lock_.recover();
    (void)lock_.locked();
    (void)lock_.release();
    if (rlock_.acquire(poll) == Acquired::owner_died) (void)rlock_.recover();
    (void)rlock_.depth();
    (void)rlock_.release_all();
    (void)lock_.release_all();
  }
  void use_condition() const {
    Wait poll(Deadline::poll());
    (void)condition_.wait(condition_.enter(), poll);
    (void)condition_.notify(1);
    (void)condition_.waiters();
  }
  void use_barrier() const {
    Wait poll(Deadline::poll());
    RawBarrier::Arrival arrival;
    if (barrier_.arrive(arrival, poll) == RawBarrier::Passed::yes) {
      if (arrival.last) {
        (void)barrier_.release(arrival);
      } else if (barrier_.wait(arrival, poll) != RawBarrier::Passed::yes) {
        (void)barrier_.give_up(arrival);
      }
    }
    (void)barrier_.waiting();
    barrier_.reset();
  }
  void use_others() {
    Wait poll(Deadline::poll());
    (void)semaphore_.acquire(poll);
    (void)semaphore_.release();
    event_.set();
    (void)event_.wait(poll);
    event_.clear();
    const auto memory = cell_.memory();
    if (!memory.empty()) memory[memory.size() - 1] = std::byte{1};
    (void)count_.unfinished(queue_);
    (void)count_.task_done(queue_);
    (void)count_.join(queue_, poll);
  }
  void work() const {
    TaskPool::Worker worker(pool_, 0);
    Wait poll(Deadline::poll());
    if (worker.next(poll) != ByteQueue::Got::received) return;
    const Bytes payload = worker.payload();
    if (!payload.empty()) (void)std::to_integer<int>(payload[payload.size() - 1]);
    constexpr std::uint32_t kMostItems = 5;
    for (std::uint32_t i = worker.task().start; i < worker.task().count && i < kMostItems; ++i) {
      worker.begin_item();
      const Bytes part = std::as_bytes(std::span(&i, 1));
      worker.commit_item(0, {&part, 1});
    }
  }
  void collect() const {
    ByteMessage message;
    Wait poll(Deadline::poll());
    if (pool_.next_result(message, poll) != ByteQueue::Got::received) return;
    for (ResultReader results(message.bytes()); results.next();) {
      if (!results.payload().empty()) (void)std::to_integer<int>(results.payload().back());
    }
  }
  void drop(unsigned which) {
    switch (which) {
      case 0:
        queue_ = ByteQueue::create();
        return;
      case 1:
        bounded_ = ByteQueue::create(4);
        return;
      case 2:
        lock_ = RawLock::create(OnOwnerDeath::recover);
        return;
      case 3:
        pool_ = TaskPool::create(2);
        return;
      case 4:
        barrier_ = RawBarrier::create(2);
        return;
      default:
        cell_ = Cell::create(100);
    }
  }
  // Another member, which goes on for a step; a child of a family that has no room is no member.
  void fork() {
    const pid_t pid = ::fork();
    if (pid == 0) {
      // It dies, so that others find what it had.
      tolerate([&] {
        get(queue_);
        Wait poll(Deadline::poll());
        (void)lock_.acquire(poll);
      });
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    FORKFUL_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    sweep_members(sync::self(), -1);
  }

  ByteQueue queue_ = ByteQueue::create();
  ByteQueue bounded_ = ByteQueue::create(4);
  RawLock lock_ = RawLock::create(OnOwnerDeath::raise);
  RawRLock rlock_ = RawRLock::create(OnOwnerDeath::recover);
  RawEvent event_ = RawEvent::create();
  RawSemaphore semaphore_ = RawSemaphore::create(1, 2);
  RawCondition condition_ = RawCondition::create();
  RawBarrier barrier_ = RawBarrier::create(2);
  Cell cell_ = Cell::create(100);
  TaskCount count_ = TaskCount::create();
  TaskPool pool_ = TaskPool::create(2);
  std::uint64_t next_job_ = 1;
  std::vector<OwnRun> runs_;
  std::vector<Cell> cells_;
  MemberId gone_;
};

[[noreturn]] void live(Bytes input) {
  const rlimit no_core{};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::signal(SIGALRM, SIG_DFL);
  ::alarm(kMostSeconds / 2);
  {
    Choices from(input);
    Family family;
    family.damage(from);
    family.go_on(from);
  }
  ::_exit(0);
}

}  // namespace

void read(Bytes input) {
  // A process of no family, so that each child makes one of its own.
  FORKFUL_CHECK(!has_family());
  const pid_t pid = ::fork();
  if (pid == 0) live(input);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status == 0) return;
  std::fprintf(stderr, "arena: a process ended with %s %d\n",
               WIFSIGNALED(status) ? "signal" : "exit code",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  std::abort();
}

// What says which words are written over has no writer: these are steps of each kind, after changes
// of each kind of word.
std::vector<Input> seeds() {
  std::vector<Input> all;
  constexpr unsigned kKinds = 8;
  constexpr unsigned kSteps = 25;
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    Input input{std::byte{1}};
    for (unsigned change = 0; change < 2; ++change) {
      for (const unsigned each : {kind, 7 * change, 0u, kind, change + 2, 1u}) {
        input.push_back(static_cast<std::byte>(each));
      }
    }
    for (unsigned step = 0; step < kSteps; ++step) {
      input.push_back(static_cast<std::byte>((step + 3 * kind) % kSteps));
      input.push_back(std::byte{7});
      input.push_back(std::byte{1});
    }
    all.push_back(std::move(input));
  }
  // And whatever comes, always the same.
  std::minstd_rand drawn(1);
  for (int i = 0; i < 16; ++i) {
    constexpr std::size_t kBytes = 240;
    Input input(kBytes);
    for (std::byte& each : input) each = static_cast<std::byte>(drawn() >> 8);
    all.push_back(std::move(input));
  }
  return all;
}

}  // namespace forkful::fuzz::arena
