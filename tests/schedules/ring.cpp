// A queue in a real arena: members that put, wait for room, get, wait for messages, and die.
//
// What is checked: each message comes once, whole, and after those that its sender put before it;
// none is lost; no more are there than the bound says; nobody sleeps while a message, or room for
// one, is there.
#include "channel/ring.hpp"

#include <cstring>
#include <forkful/bytes/queue.hpp>
#include <vector>

#include "arena.hpp"
#include "protocols.hpp"

namespace forkful::schedules {
namespace {

using base::Bytes;
using bytes::ByteMessage;
using bytes::ByteQueue;
using channel::RingWords;

constexpr std::uint32_t kSenders = 2;
constexpr std::uint32_t kMostMessages = 3;  // of a sender
constexpr std::uint32_t kSmallBytes = 40;
// Six of these are more than a segment has room for.
constexpr std::uint32_t kLargeBytes = 4000;
constexpr std::uint32_t kLeastLargeBytes = 2800;

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
  // By sender the last message that it began to put, and the last that was received. The last one
  // of them has put what was there before.
  std::vector<std::uint32_t> begun;
  std::vector<std::uint32_t> arrived;
  std::uint32_t received = 0;
  bool may_die = false;
  bool gave_up = false;
};

std::byte filler(Head head) { return static_cast<std::byte>(head.sender * 16 + head.number); }

std::int64_t end_of_wait(Schedule& schedule, const Truth& truth, bool soon) {
  if (soon) return schedule.now_ns() + schedule.soon_ns();
  if (truth.may_die) return schedule.now_ns() + kGivesUpNs;
  return kForever;
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
      ++number;
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

// Puts a message that is there before the schedule begins; `sender` is nobody's number.
void put_before(Schedule& schedule, Truth& truth, std::uint32_t sender) {
  const Head head{sender, ++truth.begun[sender]};
  const std::vector<std::byte> body(kLargeBytes - sizeof head, filler(head));
  const Bytes parts[] = {std::as_bytes(std::span(&head, 1)), body};
  Wait forever;
  schedule.expect(g_queue->put(parts, forever) == ByteQueue::Put::sent, "no room");
}

bool get_now(Schedule& schedule, Truth& truth) {
  ByteMessage message;
  Wait poll(Deadline::poll());
  if (g_queue->get(message, poll) != ByteQueue::Got::received) return false;
  check(schedule, truth, message.bytes());
  ++truth.received;
  return true;
}

// The ends are at any place of the first segment, or there is none yet.
void move_on(Schedule& schedule, Truth& truth, std::uint32_t sender) {
  for (std::uint32_t i = schedule.below(5); i != 0; --i) {
    put_before(schedule, truth, sender);
    schedule.expect(get_now(schedule, truth), "no message");
  }
}

// The receiver is about to leave the first segment for the second, which is full.
void fill_two_segments(Schedule& schedule, Truth& truth, std::uint32_t sender) {
  constexpr std::uint32_t kInTheFirst = 4;
  constexpr std::uint32_t kInTheSecond = 8;
  for (std::uint32_t i = 0; i < kInTheFirst + kInTheSecond; ++i)
    put_before(schedule, truth, sender);
  for (std::uint32_t i = 1; i < kInTheFirst; ++i) {
    schedule.expect(get_now(schedule, truth), "no message");
  }
}

void name_words(Schedule& schedule) {
  schedule.name(&words().put.tail, "tail");
  schedule.name(&words().put.sleepers, "get_bell");
  schedule.name(&words().put.lock, "put_lock");
  schedule.name(&words().put.spinner, "put_spinner");
  schedule.name(&words().get.head, "head");
  schedule.name(&words().get.spinner, "get_spinner");
  schedule.name(&words().get.journal.lock, "get_lock");
  schedule.name(&words().put_sleepers, "put_bell");
}

// Adds the senders; returns how many messages they put.
std::uint32_t add_senders(Schedule& schedule, Truth& truth) {
  const std::uint32_t least =
      truth.large && truth.begun[kSenders] <= kMostMessages ? kMostMessages : 1;
  const std::uint32_t more = schedule.coin() ? 1 : kMostMessages;
  std::uint32_t all = 0;
  for (std::uint32_t sender = 0; sender < kSenders; ++sender) {
    const std::uint32_t messages = std::max(least, 1 + schedule.below(more));
    all += messages;
    schedule.add([&, sender, messages] { send(schedule, truth, sender, messages); });
  }
  return all;
}

void add_receivers(Schedule& schedule, Truth& truth, std::uint32_t left) {
  const std::uint32_t receivers = 1 + schedule.below(2);
  for (std::uint32_t i = 1; i <= receivers; ++i) {
    const std::uint32_t quota = i == receivers ? left : 1 + schedule.below(left - 1);
    left -= quota;
    schedule.add([&, quota, receivers] { receive(schedule, truth, quota, receivers == 1); });
  }
}

void run(Schedule& schedule) {
  name_words(schedule);
  words().most_messages = 0;  // what is put before the schedule has room
  Truth truth;
  truth.begun.resize(kSenders + 1);
  truth.arrived.resize(kSenders + 1);
  const bool leaves_a_segment = schedule.below(8) == 0;
  truth.large = leaves_a_segment || schedule.below(4) == 0;
  if (leaves_a_segment) {
    fill_two_segments(schedule, truth, kSenders);
  } else {
    move_on(schedule, truth, kSenders);
    truth.most = schedule.below(3);
  }
  truth.arrived[kSenders] = truth.received;
  words().most_messages = truth.most;
  truth.may_die = schedule.below(4) == 0;
  const std::uint32_t all = add_senders(schedule, truth) + truth.begun[kSenders];
  // Where there are many, most stay where they are until the schedule is over.
  add_receivers(schedule, truth, leaves_a_segment ? 2 + schedule.below(2) : all - truth.received);
  if (truth.may_die) schedule.may_die(schedule.below(schedule.members()), 100);
  schedule.run();
  repair_arena();
  const std::uint32_t there = g_queue->size();
  if (schedule.anybody_died() && truth.gave_up) {
    schedule.expect(there == 0 || there == truth.most, "something was overslept");
  }
  if (!schedule.anybody_died()) {
    while (get_now(schedule, truth)) {
    }
    schedule.expect(truth.received == all, "a message was lost");
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
