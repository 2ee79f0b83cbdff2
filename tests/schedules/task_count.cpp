// The count of a queue's messages that are done with, in a real arena: members that put and join,
// members that get and report, and others that join, report too often, and die.
//
// What is checked: whoever joins returns when all that it has put is done with, not before, and
// sees what was done; nobody oversleeps that; each report counts once, and one too many is refused.
#include <cstring>
#include <forkful/bytes/task_count.hpp>
#include <new>

#include "arena.hpp"
#include "protocols.hpp"

namespace forkful::schedules {
namespace {

using bytes::ByteMessage;
using bytes::ByteQueue;
using bytes::TaskCount;
using channel::RingWords;

constexpr std::uint32_t kMostSenders = 2;
constexpr std::uint32_t kMostMessages = 2;  // of a sender

ByteQueue* g_queue = nullptr;

struct Words {
  std::uint32_t done[kMostSenders * kMostMessages];  // plain: by message, what is done with it
};
alignas(64) Words g_words;

// What the test knows beside it.
struct Truth {
  std::uint32_t all = 0;    // messages
  std::uint32_t begun = 0;  // reports, and those that were taken
  std::uint32_t taken = 0;
  std::uint32_t senders = 0;  // that have messages left
  bool shuts_down = false;    // when all is sent
  bool too_often = false;     // somebody reports what it has not got
  bool may_die = false;
};

std::int64_t patience_ns(Schedule& schedule, const Truth& truth, int times = 1) {
  return truth.may_die ? schedule.now_ns() + times * kGivesUpNs : kForever;
}

void report(Schedule& schedule, Truth& truth, const TaskCount& count) {
  ++truth.begun;
  const bool taken = count.task_done(*g_queue);
  if (taken) ++truth.taken;
  schedule.expect(taken || truth.too_often, "a report was refused");
  schedule.expect(truth.taken <= truth.all, "a report too many was taken");
}

void join(Schedule& schedule, const Truth& truth, const TaskCount& count) {
  for (;;) {
    const bool soon = schedule.below(4) == 0;
    // Longer than those who get, since these may be late one after the other.
    const std::int64_t end_ns =
        soon ? schedule.now_ns() + schedule.soon_ns() : patience_ns(schedule, truth, 3);
    Wait wait(Deadline{end_ns});
    if (count.join(*g_queue, wait) == Waited::done) return;
    if (soon) continue;
    schedule.expect(count.unfinished(*g_queue) != 0, "the last report was overslept");
    return;
  }
}

void send_and_join(Schedule& schedule, Truth& truth, const TaskCount& count, std::uint32_t first,
                   std::uint32_t messages) {
  for (std::uint32_t number = first; number < first + messages; ++number) {
    const base::Bytes parts[] = {std::as_bytes(std::span(&number, 1))};
    Wait forever;
    schedule.expect(g_queue->put(parts, forever) == ByteQueue::Put::sent, "not sent");
  }
  if (--truth.senders == 0 && truth.shuts_down) g_queue->shut_down();
  if (schedule.coin()) return;
  join(schedule, truth, count);
  if (truth.too_often || schedule.anybody_died()) return;
  for (std::uint32_t number = first; number < first + messages; ++number) {
    schedule.expect(g_words.done[number] == 1, "one has joined what was not done");
  }
}

void receive(Schedule& schedule, Truth& truth, const TaskCount& count, std::uint32_t quota) {
  while (truth.shuts_down || quota != 0) {
    ByteMessage message;
    Wait wait(Deadline{patience_ns(schedule, truth)});
    const ByteQueue::Got how = g_queue->get(message, wait);
    if (how != ByteQueue::Got::received) {
      schedule.expect(truth.shuts_down || truth.may_die, "a wait without an end has ended");
      return;
    }
    --quota;
    std::uint32_t number = 0;
    std::memcpy(&number, message.bytes().data(), sizeof number);
    schedule.expect(number < truth.all, "a message of nobody");
    ++g_words.done[number];
    report(schedule, truth, count);
  }
}

void add_members(Schedule& schedule, Truth& truth, const TaskCount& count) {
  const std::uint32_t senders = 1 + schedule.below(kMostSenders);
  truth.senders = senders;
  for (std::uint32_t i = 0; i < senders; ++i) {
    const std::uint32_t first = truth.all;
    const std::uint32_t messages = 1 + schedule.below(kMostMessages);
    truth.all += messages;
    schedule.add([&, first, messages] { send_and_join(schedule, truth, count, first, messages); });
  }
  const std::uint32_t receivers = std::min(truth.all, 1 + schedule.below(2));
  for (std::uint32_t i = 0; i < receivers; ++i) {
    const std::uint32_t quota = i == 0 ? truth.all - (receivers - 1) : 1;
    schedule.add([&, quota] { receive(schedule, truth, count, quota); });
  }
  for (std::uint32_t joiners = schedule.below(3); joiners != 0; --joiners) {
    schedule.add([&] { join(schedule, truth, count); });
  }
  if (truth.too_often) schedule.add([&] { report(schedule, truth, count); });
}

void run(Schedule& schedule) {
  new (&g_words) Words{};
  RingWords& words = body_of<RingWords>(*g_queue);
  const TaskCount count = TaskCount::create();
  schedule.name(&words.put.tail, "tail");
  schedule.name(&words.get.head, "head");
  schedule.name(arena::at(count.id().offset), "count");
  if (schedule.coin()) schedule.spin();
  Truth truth;
  truth.shuts_down = schedule.coin();
  truth.may_die = schedule.below(4) == 0;
  truth.too_often = !truth.may_die && schedule.below(4) == 0;
  add_members(schedule, truth, count);
  if (truth.may_die) schedule.may_die(schedule.below(schedule.members()), 80);
  schedule.run();
  repair_arena();
  if (!schedule.anybody_died()) {
    schedule.expect(truth.taken == std::min(truth.begun, truth.all), "a report was lost");
    if (truth.taken == truth.all) {
      schedule.expect(!count.task_done(*g_queue), "a report too many was taken");
    }
  }
  renew(words, g_queue->id().offset + arena::Held::body_at<RingWords>(), !schedule.anybody_died());
}

void begin() {
  share(&g_words, sizeof g_words);
  g_queue = new ByteQueue(ByteQueue::create(0, {}));
  share_arena();
}

const Entered g_entered({"task_count", begin, run});

}  // namespace
}  // namespace forkful::schedules
