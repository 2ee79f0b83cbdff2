// A pool's tasks as a worker meets them, and its claim as the client finds it after the worker's
// death.
#include <forkful/bytes/task_pool.hpp>
#include <forkful/detail/executor/task.hpp>
#include <map>
#include <string>
#include <tuple>

#include "base/check.hpp"
#include "image.hpp"
#include "pool/words.hpp"

namespace forkful::fuzz::tasks {
namespace {

using base::Offset;
using bytes::ByteMessage;
using bytes::ByteQueue;
using bytes::TaskHead;
using bytes::TaskPool;
using pool::Claim;
using pool::PoolWords;
using pool::WorkerSlot;

using Argument = std::map<std::string, std::vector<int>>;
std::size_t count(const Argument& argument) { return argument.size(); }
using Function = std::size_t (*)(const Argument&);
using Args = std::tuple<Argument>;
constexpr detail::TaskCode* kRunChunk = &detail::run_chunk<Function, Args>;

struct Subject {
  TaskPool pool = TaskPool::create(2);
  Image image;

  [[nodiscard]] Offset words_at() const {
    return pool.id().offset + arena::Held::body_at<PoolWords>();
  }
  [[nodiscard]] Claim& claim() const {
    return arena::at<WorkerSlot>(words_at() +
                                 base::round_up(sizeof(PoolWords), alignof(WorkerSlot)))
        .claim;
  }
  // As it came from any member: TaskPool::submit() would write a head.
  void send(Bytes task, bool as_block) const {
    channel::Ring ring(arena::at<PoolWords>(words_at()).tasks,
                       words_at() + offsetof(PoolWords, tasks));
    if (as_block || task.size() > bytes::kInlineBytes) {
      const Offset run = arena::allocate_run(task.size());
      if (!task.empty()) std::memcpy(arena::at(run), task.data(), task.size());
      FORKFUL_CHECK(ring.try_push_run(run, task.size()) == channel::Ring::Push::sent);
    } else {
      FORKFUL_CHECK(ring.try_push({&task, 1}, task.size()) == channel::Ring::Push::sent);
    }
  }
};

Subject& subject() {
  static auto* const one = new Subject;
  return *one;
}

// As a worker's main loop does it; code is called where it is the one that exists.
void run_task(TaskPool::Worker& worker) {
  detail::Writer result;
  detail::TaskRun run(worker, result);
  try {
    auto* const code = detail::function_at<detail::TaskCode>(run.code());
    if (code != kRunChunk) throw Error("other code");
    const detail::CodePlace known = detail::place_of(&count);
    detail::Reader captures(run.captures());
    if (captures.raw<detail::CodePlace>() != known) throw Error("another function");
    code(run);
  } catch (...) {
    run.fail_all();
  }
}

void collect(const TaskPool& pool) {
  ByteMessage message;
  Wait poll(Deadline::poll());
  while (pool.next_result(message, poll) == ByteQueue::Got::received) {
    for (bytes::ResultReader results(message.bytes()); results.next();) {
    }
  }
}

// A worker of its own for each: what it has in hand ends with it.
void live(const Subject& here, Bytes claim) {
  TaskPool::Worker worker(here.pool, 0);
  Wait poll(Deadline::poll());
  while (worker.next(poll) == ByteQueue::Got::received) {
    if (claim.empty()) {
      tolerate([&] { run_task(worker); });
    } else {
      worker.begin_item();
      std::memcpy(static_cast<void*>(&here.claim()), claim.data(), claim.size());
    }
  }
}

}  // namespace

void read(Bytes input) {
  Subject& here = subject();
  here.image.restore();
  Choices from(input);
  const unsigned how = from.pick(4);
  const Bytes claim = how >= 2 ? from.take(sizeof(Claim)) : Bytes();
  here.send(from.rest(), how % 2 == 1);
  tolerate([&] { live(here, claim); });
  tolerate([&] { collect(here.pool); });
  (void)here.pool.view(0);
  tolerate([&] {
    TaskPool::Lost lost;
    here.pool.finish_commits();
    here.pool.recover(0, lost);
    for (bytes::ResultReader results(lost.results.bytes()); results.next();) {
    }
  });
  tolerate([&] {
    TaskHead head{};
    while (here.pool.take_back(head)) {
    }
  });
}

std::vector<Input> seeds() {
  const auto task = [](char how, std::uint32_t items) {
    detail::Writer to;
    to.raw(how);
    if (how >= 2) {
      // A claim as it may be found: no block, or one that another member has freed.
      to.raw(Claim{7, pool::pack(items, 0), 1, 0, 0, 0});
    }
    to.raw(TaskHead{7, 0, items, 0, 0, 0});
    to.raw(detail::place_of(kRunChunk));
    detail::write_sized(to, [&] { to.raw(detail::place_of(&count)); });
    for (std::uint32_t i = 0; i < items; ++i) {
      detail::write_sized(to,
                          [&] { detail::write_value(to, Args{{{"one", {1, 2}}, {"two", {}}}}); });
    }
    return input_of(to.view());
  };
  return {task(0, 1), task(0, 3), task(1, 3), task(2, 1), task(3, 3), task(3, 1)};
}

}  // namespace forkful::fuzz::tasks
