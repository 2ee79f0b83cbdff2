// A queue: a ring, and waiting at both its ends. A put() or get() first tries without any
// preparation for a wait, and goes on in put_patiently() or get_patiently().
//
// Threads: any thread of any member. What a death leaves is RING.md's; a call that is killed while
// it waits leaves nothing.
#include <forkful/bytes/queue.hpp>
#include <stdexcept>
#include <string>

#include "arena/shares.hpp"
#include "channel/outgoing.hpp"
#include "channel/ring.hpp"
#include "message/block.hpp"
#include "sync/pass_on.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

using channel::Ring;
using channel::RingWords;
using sync::IfStuck;
using sync::PassOn;

Ring ring_of(const arena::Held* held) {
  return {held->body<RingWords>(), held->body_offset<RingWords>()};
}

// A step of the queue's end, when its last holder has let it go.
bool take_apart(arena::Journal& journal, arena::Offset object) {
  const arena::Offset words = object + arena::Held::body_at<RingWords>();
  return Ring(arena::at<RingWords>(words), words).take_apart(journal);
}

const arena::OnLastRelease g_queues(arena::Kind::queue, take_apart);

bool is_closed(const Ring& ring) {
  // Sequentially consistent, as the store in Ring::refuse(), with which it pairs: senders wait at a
  // bell whose lock is not the one that refuse() has.
  return ring.words().closed.load(std::memory_order_seq_cst) != 0;
}

// How long a silence the next wait begins with, after one that found `found` messages (for a
// receiver). As long as they come about as fast as pauses go by, a longer one finds more at a look;
// a sender that has filled the queue meanwhile was kept waiting.
void learn_silence(sync::SpinBudget& budget, std::uint32_t found, std::uint32_t most) {
  // A pause takes about as long as a small message takes its sender (45 ns), so half as many
  // messages as pauses count as "about as fast".
  if (found >= 2 && found >= budget.silence() / 2 && (most == 0 || found < most)) {
    budget.lengthen_silence();
  } else {
    budget.shorten_silence();
  }
}

// Likewise for a sender, which found room for `room` messages. A receiver that has emptied the
// queue meanwhile was kept waiting.
void learn_patience(sync::SpinBudget& budget, std::uint32_t room, std::uint32_t most) {
  // A guess: a wait that has brought room for so many has paid, however long the queue is.
  constexpr std::uint32_t kEnough = 64;
  if (room >= most) {
    budget.shorten_silence();
  } else if (room < most / 2 && room < kEnough) {
    budget.lengthen_silence();
  }
}

using Put = ByteQueue::Put;
using Got = ByteQueue::Got;

// The rest of a put() that could not send at once; `full`: it has just seen that. Why apart, as the
// rest of get(): in one function with the first attempt they make each small message a tenth
// slower.
Put put_patiently(arena::Held* held, bool full, std::span<const Bytes> parts, Wait& wait,
                  Shares shares) {
  Ring ring = ring_of(held);
  RingWords& words = ring.words();
  channel::Outgoing outgoing(parts, shares, false, held->object);
  PassOn room(words.not_full(), [&] { return !ring.full(); });
  for (;; full = false) {
    if (is_closed(ring)) return Put::shut_down;
    Waited how = Waited::done;
    Ring::Push pushed = Ring::Push::full;
    if (!full) {
      how = sync::get_through(wait, [&] {
        outgoing.write(IfStuck::leave);
        pushed = outgoing.push(ring, IfStuck::leave);
      });
    }
    if (how != Waited::done) {
      outgoing.give_up();
    } else {
      if (pushed == Ring::Push::sent) break;
      how = words.not_full().wait(wait, held->budget,
                                  [&] { return !ring.full() || is_closed(ring); });
      room.waited();
    }
    if (how == Waited::timed_out) return Put::timed_out;
    if (how == Waited::interrupted) return Put::interrupted;
  }
  words.not_empty().notify();
  if (room.has_waited()) {
    learn_patience(held->budget, ring.known_room() + 1, words.most_messages);
  }
  return Put::sent;
}

// The rest of a get() that found nothing, or could not look.
Got get_patiently(arena::Held* held, ByteMessage& into, Wait& wait) {
  Ring ring = ring_of(held);
  RingWords& words = ring.words();
  PassOn messages(words.not_empty(), [&] { return !ring.empty(); });
  for (bool popped = false; !popped;) {
    // In this order: what was sent before the shut-down is still received.
    if (is_closed(ring) && ring.empty()) return Got::shut_down;
    Waited how = words.not_empty().wait(wait, held->budget,
                                        [&] { return !ring.empty() || is_closed(ring); });
    messages.waited();
    if (how == Waited::done) {
      how = sync::get_through(wait, [&] { popped = ring.try_pop(into, IfStuck::leave); });
    }
    if (how == Waited::timed_out) return Got::timed_out;
    if (how == Waited::interrupted) return Got::interrupted;
  }
  const std::uint32_t found = ring.known_messages() + 1;
  learn_silence(held->budget, found, words.most_messages);
  held->budget.yields().learn_found(found);
  if (words.most_messages != 0) words.not_full().notify();
  return Got::received;
}

}  // namespace

ByteQueue ByteQueue::create(std::uint32_t most_messages, const Label& label) {
  constexpr std::uint32_t kMost = 0x7fffffff;
  if (most_messages > kMost) {
    throw std::invalid_argument("a queue's bound must be 0 (none) to " + std::to_string(kMost) +
                                ", not " + std::to_string(most_messages) + ": was it negative?");
  }
  auto* held = arena::create_object<RingWords>(arena::Kind::queue, label);
  held->body<RingWords>().most_messages = most_messages;
  return ByteQueue(held);
}

ByteQueue ByteQueue::adopt(Id id) {
  return ByteQueue(arena::adopt_object<RingWords>(arena::Kind::queue, id));
}

ByteQueue::Put ByteQueue::put(std::span<const Bytes> parts, Wait& wait, Shares shares) const {
  Ring ring = ring_of(held_);
  const std::size_t size = message::total_bytes(parts);
  bool full = false;
  if (size <= kInlineBytes && shares.empty()) {
    if (is_closed(ring)) return Put::shut_down;
    try {
      full = ring.try_push(parts, size, 0, IfStuck::leave) == Ring::Push::full;
      if (!full) {
        ring.words().not_empty().notify();
        return Put::sent;
      }
    } catch (const sync::StuckLock&) {
      // Why: put_patiently() waits for the lock.
    }
  }
  return put_patiently(held_, full, parts, wait, shares);
}

ByteQueue::Got ByteQueue::get(ByteMessage& into, Wait& wait) const {
  Ring ring = ring_of(held_);
  into.reset();
  try {
    if (ring.try_pop(into, IfStuck::leave)) {
      if (ring.words().most_messages != 0) ring.words().not_full().notify();
      return Got::received;
    }
  } catch (const sync::StuckLock&) {
    // Why: get_patiently() waits for the lock.
  }
  return get_patiently(held_, into, wait);
}

// Whoever has been woken for a message that stays passes the notification on to a receiver.
Waited ByteQueue::await_message(Wait& wait) const {
  const Ring ring = ring_of(held_);
  const auto is_there = [&] { return !ring.empty() || is_closed(ring); };
  if (is_there()) return Waited::done;
  PassOn messages(ring.words().not_empty(), [&] { return !ring.empty(); });
  messages.waited();
  return ring.words().not_empty().wait(wait, held_->budget, is_there);
}

void ByteQueue::shut_down() const {
  Wait forever;
  (void)shut_down(forever);
}

Waited ByteQueue::shut_down(Wait& wait) const {
  Ring ring = ring_of(held_);
  const Waited how = sync::get_through(wait, [&] { ring.refuse(IfStuck::leave); });
  if (how != Waited::done) return how;
  ring.words().not_empty().wake_all();
  ring.words().not_full().wake_all();
  return how;
}

bool ByteQueue::is_shut_down() const { return is_closed(ring_of(held_)); }
std::uint32_t ByteQueue::size() const { return ring_of(held_).size(); }
std::uint32_t ByteQueue::puts() const { return ring_of(held_).puts(); }
bool ByteQueue::full() const { return ring_of(held_).full(); }
std::uint32_t ByteQueue::most_messages() const { return ring_of(held_).words().most_messages; }

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
