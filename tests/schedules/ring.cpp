// A queue in a real arena: members that put, wait for room, get, wait for messages, and die.
//
// What is checked: each message comes once, whole, and after those that its sender put before it;
// none is lost; no more are there than the bound says; nobody sleeps while a message, or room for
// one, is there.
#include "channel/ring.hpp"

#include <cstring>
#include <forkful/bytes/queue.hpp>
#include <limits>
#include <vector>

#include "arena.hpp"
#include "protocols.hpp"

namespace forkful::schedules {
namespace {

using base::Bytes;
using bytes::ByteMessage;
using bytes::ByteQueue;
using channel::RingWords;

constexpr std::uint32_t kMostMessages = 3;  // of a sender
constexpr std::uint32_t kSmallBytes = 40;
// Six of these are more than a segment has room for.
constexpr std::uint32_t kLargeBytes = 4000;
constexpr std::uint32_t kLeastLargeBytes = 2800;
constexpr std::int64_t kGivesUpNs = 20'000'000'000;  // longer than any sleeper goes without a look

ByteQueue* g_queue = nullptr;

RingWords& words() { return body_of<RingWords>(*g_queue); }
base::Offset words_at() { return g_queue->id().offset + arena::Held::body_at<RingWords>(); }

struct Head {
  std::uint32_t sender;
  std::uint32_t number;  // from 1
};

struct Truth {
  std::uint32_t most = 0;  // that the queue has room for; 0: no bound
  bool large = false;
  std::vector<std::uint32_t> begun;    // by sender: the last message that it began to put
  std::vector<std::uint32_t> put;      // likewise, that was put
  std::vector<std::uint32_t> arrived;  // likewise, that was received
  std::uint32_t received = 0;
  bool may_die = false;
  bool gave_up = false;
};

std::byte filler(Head head) { return static_cast<std::byte>(head.sender * 16 + head.number); }

std::int64_t end_of_wait(Schedule& schedule, const Truth& truth, bool soon) {
  if (soon) return schedule.now_ns() + schedule.soon_ns();
  if (truth.may_die) return schedule.now_ns() + kGivesUpNs;
  return std::numeric_limits<std::int64_t>::max();
}

void send(Schedule& schedule, Truth& truth, std::uint32_t sender, std::uint32_t messages) {
  for (std::uint32_t number = 1; number <= messages;) {
    const Head head{sender, number};
    const std::uint32_t size =
        truth.large ? kLeastLargeBytes + schedule.below(kLargeBytes - kLeastLargeBytes)
                    : 1 + schedule.below(kSmallBytes);
    std::vector<std::byte> body(size, filler(head));
    const Bytes parts[] = {std::as_bytes(std::span(&head, 1)), body};
    const bool soon = schedule.below(4) == 0;
    Wait wait(Deadline{end_of_wait(schedule, truth, soon)});
    truth.begun[sender] = number;
    const ByteQueue::Put how = g_queue->put(parts, wait);
    if (how == ByteQueue::Put::sent) {
      truth.put[sender] = number++;
    } else if (!soon) {
      truth.gave_up = true;
      return;
    }
  }
}

void check(Schedule& schedule, Truth& truth, Bytes message) {
  Head head{};
  schedule.expect(message.size() > sizeof head, "a message has no head");
  std::memcpy(&head, message.data(), sizeof head);
  schedule.expect(head.sender < truth.begun.size(), "a message of nobody");
  schedule.expect(head.number <= truth.begun[head.sender], "a message that nobody has put");
  const Bytes body = message.subspan(sizeof head);
  schedule.expect(
      body[0] == filler(head) && std::memcmp(body.data(), body.data() + 1, body.size() - 1) == 0,
      "a message is torn");
}

void receive(Schedule& schedule, Truth& truth, std::uint32_t quota, bool alone) {
  while (quota != 0) {
    ByteMessage message;
    const bool soon = schedule.below(4) == 0;
    Wait wait(Deadline{end_of_wait(schedule, truth, soon)});
    const ByteQueue::Got how = g_queue->get(message, wait);
    if (how != ByteQueue::Got::received) {
      if (soon) continue;
      truth.gave_up = true;
      return;
    }
    --quota;
    ++truth.received;
    check(schedule, truth, message.bytes());
    Head head{};
    std::memcpy(&head, message.bytes().data(), sizeof head);
    std::uint32_t& last = truth.arrived[head.sender];
    // Several receivers may come here in another order than they have received in.
    if (alone) schedule.expect(head.number == last + 1, "a message was lost, doubled or overtaken");
    last = std::max(last, head.number);
  }
}

// The ends are at any place of the first segment, or there is none yet.
void prepare(Schedule& schedule) {
  Wait forever;
  ByteMessage message;
  std::vector<std::byte> body(kLargeBytes);
  const bool near_the_end = schedule.coin();
  for (std::uint32_t i = near_the_end ? 4 : schedule.below(3); i != 0; --i) {
    const Bytes part(body.data(), 1000 + schedule.below(kLargeBytes - 1000));
    schedule.expect(g_queue->put({&part, 1}, forever) == ByteQueue::Put::sent, "no room");
    schedule.expect(g_queue->get(message, forever) == ByteQueue::Got::received, "no message");
  }
}

void run(Schedule& schedule) {
  schedule.name(&words().put.tail, "tail");
  schedule.name(&words().put.sleepers, "get_bell");
  schedule.name(&words().put.lock, "put_lock");
  schedule.name(&words().put.spinner, "put_spinner");
  schedule.name(&words().get.head, "head");
  schedule.name(&words().get.spinner, "get_spinner");
  schedule.name(&words().get.journal.lock, "get_lock");
  schedule.name(&words().put_sleepers, "put_bell");
  schedule.name(&words(), "ring");
  Truth truth;
  prepare(schedule);
  truth.most = schedule.below(3);
  words().most_messages = truth.most;
  truth.may_die = schedule.below(4) == 0;
  truth.large = schedule.below(4) == 0;
  const std::uint32_t receivers = 1 + schedule.below(2);
  std::uint32_t all = 0;
  const std::uint32_t least = truth.large ? kMostMessages : 1;
  const std::uint32_t more = schedule.coin() ? 1 : kMostMessages;
  for (std::uint32_t sender = 0; sender < 2; ++sender) {
    const std::uint32_t messages = std::max(least, 1 + schedule.below(more));
    all += messages;
    truth.begun.push_back(0);
    truth.put.push_back(0);
    truth.arrived.push_back(0);
    schedule.add([&, sender, messages] { send(schedule, truth, sender, messages); });
  }
  std::uint32_t left = all;
  for (std::uint32_t i = 1; i <= receivers; ++i) {
    const std::uint32_t quota = i == receivers ? left : 1 + schedule.below(left - 1);
    left -= quota;
    schedule.add([&, quota] { receive(schedule, truth, quota, receivers == 1); });
  }
  if (truth.may_die) schedule.may_die(schedule.below(schedule.members()), 100);
  schedule.run();
  repair_arena();
  const std::uint32_t there = g_queue->size();
  if (schedule.anybody_died()) {
    // Whoever gave up had nothing to get, or no room.
    if (truth.gave_up)
      schedule.expect(there == 0 || there == truth.most, "something was overslept");
  } else {
    schedule.expect(truth.received == all && there == 0, "a message was lost");
  }
  renew(words(), words_at(), !schedule.anybody_died());
}

void begin() {
  g_queue = new ByteQueue(ByteQueue::create(0, {}));
  share_arena();
}

const Entered g_entered({"ring", begin, run});

}  // namespace
}  // namespace forkful::schedules
