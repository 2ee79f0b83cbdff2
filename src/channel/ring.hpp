// A ring of messages in shared memory with any number of senders and receivers, which grows.
//
//   put end: {tail, segment}  ──► segment ──link──► segment ◄── {head, segment} :get end
//
// Records of 8-byte units lie in segments; a segment is a ring itself, and when it is full the
// sender links a larger one to its end. Each end has a lock of its own. {count, position} are one
// word, so a message is sent by one store, and received by one store. Changes of more than one word
// (a segment linked or left, a run that changes hands with its message) go through the arena's
// journal; a claim goes through the journal of the get end.
//
// RING.md says who may write and read which word, and what a death at each line leaves.
//
// Threads:   any thread of any member.
// Death:     a sender killed before its store leaves no visible message, a receiver killed before
//            its store leaves the message where it was.
#pragma once

#include <forkful/bytes/message.hpp>
#include <functional>

#include "arena/heap.hpp"
#include "sync/bell.hpp"

namespace forkful::channel {

using arena::Journal;
using base::Bytes;
using base::Offset;
using Message = bytes::ByteMessage;

// Position and count of one end: {count:32 << 32 | position:32 in units}.
struct Mark {
  std::uint32_t count;
  std::uint32_t position;
  static constexpr Mark of(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint32_t>(word)};
  }
  [[nodiscard]] constexpr std::uint64_t word() const {
    return (std::uint64_t{count} << 32) | position;
  }
};

// What receivers look at while they wait lies apart from what senders need besides: a lock taken
// on the line that a receiver watches costs the sender two cache misses a message.
struct alignas(base::kCacheLine) PutEnd {
  std::atomic<std::uint64_t> tail;
  std::atomic<std::uint32_t> sleepers;  // the word of the receivers' bell
  alignas(base::kCacheLine) std::atomic<Offset> segment;
  std::atomic<std::uint64_t> free_until;  // positions below it are free, as last seen
  std::atomic<std::uint32_t> seen_gets;   // the get end's count, as last seen
  sync::OwnerWord lock;
  // The word that becomes 0 with the message being sent, and the tail that says it was sent. Only
  // whoever has the lock writes these; whoever takes it from the dead does what was left.
  std::atomic<Offset> clears;
  std::atomic<std::uint64_t> clears_at;
  std::atomic<std::uint32_t> spinner;  // of the senders' bell
  std::atomic<std::uint32_t> rota;     // likewise
};

struct alignas(base::kCacheLine) GetEnd {
  std::atomic<std::uint64_t> head;
  std::atomic<Offset> segment;
  std::atomic<std::uint32_t> seen_puts;  // the put end's count, as last seen
  std::atomic<std::uint32_t> spinner;    // of the receivers' bell
  std::atomic<std::uint32_t> rota;       // likewise
  arena::JournalWords<8> journal;        // a claim stages six words, and nothing here stages more
};

inline constexpr std::uint32_t kRefusing = 2;

struct RingWords {
  PutEnd put;
  GetEnd get;
  // Every put and every get looks at these, which hardly ever change: on a line that either end
  // writes they would cost a cache miss a message.
  alignas(base::kCacheLine) std::atomic<std::uint32_t> closed;  // not 0: receivers need not wait;
                                                                // kRefusing: no more is sent
  std::uint32_t most_messages;                                  // 0: no bound
  std::atomic<std::uint32_t> put_sleepers;                      // the word of the senders' bell

  sync::BellView not_empty() { return {put.sleepers, get.spinner, get.rota, &put.lock}; }
  sync::BellView not_full() { return {put_sleepers, put.spinner, put.rota, &get.journal.lock}; }
};
static_assert(sizeof(PutEnd) == 128 && sizeof(GetEnd) == 192 && sizeof(RingWords) == 384);

// A ring whose words lie in an object that somebody holds.
class Ring {
 public:
  Ring() = default;
  Ring(RingWords& words, Offset at) : words_(&words), at_(at) {}

  enum class [[nodiscard]] Push { sent, full };
  using IfStuck = sync::IfStuck;
  // Nothing is sent after this: pushes answer `full`. Throws: as try_push().
  void refuse(IfStuck if_stuck);

  // Copies `parts`, in sum at most bytes::kInlineBytes, into the ring. The word at `clears`, if one
  // is given, becomes 0 in the same commit; it must lie in memory that every sender has mapped.
  // Throws: sync::StuckLock, with IfStuck::leave, here and below; nothing is changed then.
  Push try_push(std::span<const Bytes> parts, std::size_t size, Offset clears = 0,
                IfStuck if_stuck = IfStuck::wait);
  // Sends a run; on Push::sent it belongs to the ring. What `first(journal)` and `also(journal)`
  // stage is committed with it: all of it or nothing. A receiver that finds the message sees what
  // `first` staged, in the message's bytes, say; whoever sees what `also` staged finds the message.
  Push try_push_run(Offset run, std::size_t size, const std::function<void(Journal&)>& also = {},
                    IfStuck if_stuck = IfStuck::wait,
                    const std::function<void(Journal&)>& first = {});

  // Completes what a dead sender had committed. Call before its word of `clears` is looked at.
  void finish_puts();

  // Moves the next message to `into`; false when there is none.
  [[nodiscard]] bool try_pop(Message& into, IfStuck if_stuck = IfStuck::wait);
  // Likewise, but a run stays the family's (`into` only looks at it), and what `stage(journal,
  // message)` stages is committed with the receipt: all of it or nothing.
  template <class Stage>
  [[nodiscard]] bool try_claim(Message& into, Stage&& stage);

  [[nodiscard]] std::uint32_t size() const;
  // Messages ever put, modulo 2^32. Sequentially consistent, as all looks from here to full():
  // pairs with the bit that a sleeper sets at the bell before its look (see BELL.md).
  [[nodiscard]] std::uint32_t puts() const {
    return Mark::of(words_->put.tail.load(std::memory_order_seq_cst)).count;
  }
  // Whether it is, or was for a moment during the call. Each look at the other side's end takes a
  // cache line from it, so there is one only.
  [[nodiscard]] bool empty() const {
    const Mark head = Mark::of(words_->get.head.load(std::memory_order_seq_cst));
    return puts() == head.count;
  }
  [[nodiscard]] bool full() const {
    if (words_->most_messages == 0) return false;
    // In this order, so that what is put and got meanwhile makes it seem emptier, never fuller.
    const std::uint32_t sent = puts();
    const auto used = static_cast<std::int32_t>(
        sent - Mark::of(words_->get.head.load(std::memory_order_seq_cst)).count);
    return used > 0 && static_cast<std::uint32_t>(used) >= words_->most_messages;
  }
  // As the last sender, and the last receiver, have seen it: without a look at the other end.
  [[nodiscard]] std::uint32_t known_room() const {
    const std::uint32_t known = words_->put.seen_gets.load(std::memory_order_relaxed) - puts();
    return known + words_->most_messages;
  }
  [[nodiscard]] std::uint32_t known_messages() const {
    return words_->get.seen_puts.load(std::memory_order_relaxed) -
           Mark::of(words_->get.head.load(std::memory_order_relaxed)).count;
  }
  [[nodiscard]] RingWords& words() const { return *words_; }

  // Throws Error.
  [[noreturn]] static void damaged();

  // One step of freeing everything inside; true when only the words are left.
  [[nodiscard]] bool take_apart(Journal& journal);

 private:
  enum class RecordKind : std::uint32_t { bytes = 1, run = 2, skip = 3, link = 4 };
  struct RecordHead {
    std::uint32_t size = 0;
    RecordKind kind = RecordKind::bytes;
  };
  struct RunRecord {
    Offset run;
    std::uint64_t size;
  };
  struct Found {
    RecordHead head;
    const std::byte* body = nullptr;
    Mark next{};
  };

  [[nodiscard]] bool no_room_at(Mark tail);
  std::byte* reserve(Mark& tail, std::uint32_t units, IfStuck if_stuck);
  std::byte* grow(Mark& tail, std::uint32_t units, IfStuck if_stuck);
  bool find(Journal& get, Found& found, IfStuck if_stuck);
  Found look(Offset segment, Mark head) const;
  [[nodiscard]] Offset put_offset(std::size_t field) const {
    return at_ + offsetof(RingWords, put) + field;
  }
  [[nodiscard]] Offset get_offset(std::size_t field) const {
    return at_ + offsetof(RingWords, get) + field;
  }
  void advance(Mark next) {
    // Pairs with the acquire loads of the head in reserve() and no_room_at().
    words_->get.head.store(next.word(), std::memory_order_release);
  }

  RingWords* words_ = nullptr;
  Offset at_ = 0;
};

template <class Stage>
bool Ring::try_claim(Message& into, Stage&& stage) {
  Journal get(words_->get.journal);
  Found found;
  if (!find(get, found, IfStuck::wait)) return false;
  if (found.head.kind == RecordKind::run) {
    RunRecord record;
    std::memcpy(&record, found.body, sizeof record);
    into.reset();
    stage(get, record.run, static_cast<std::size_t>(record.size), Bytes());
  } else {
    into.copy(found.body, found.head.size);
    stage(get, Offset{0}, std::size_t{found.head.size}, into.bytes());
  }
  get.set(get_offset(offsetof(GetEnd, head)), found.next.word());
  get.commit();
  return true;
}

}  // namespace forkful::channel
