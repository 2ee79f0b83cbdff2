// How records get into the segments of a ring and out of them. RING.md has the words, who may write
// which of them, and what a death at each line leaves.
//
// Everything is done by the callers' threads: queue.cpp for queues, pool/task_pool.cpp for tasks
// and results.
#include "channel/ring.hpp"

#include <bit>
#include <forkful/errors.hpp>

#include "base/check.hpp"
#include "kernel/fault.hpp"

namespace forkful::channel {
namespace {

// Records are multiples of this, so that a head can be read as it lies.
constexpr std::uint32_t kUnit = 8;
// A guess: four pages for a queue with little in it. Three of the largest records fit.
constexpr std::uint64_t kFirstSegmentBytes = 16384;
// A guess: as much is kept by a queue that was once long, for as long as it lives.
constexpr std::uint64_t kMostSegmentBytes = 1 << 20;
// A segment's first units hold its size, on a cache line of its own; a lap begins after them.
constexpr std::uint32_t kLapBegin = 8;
// Room that is always left for a link (or a skip) after the last record.
constexpr std::uint32_t kLinkUnits = 2;

// What a segment begins with.
struct SegmentHead {
  std::uint64_t units;  // a power of two
};

// A segment, as this process has it mapped.
struct Segment {
  std::byte* base;
  std::uint32_t units;

  [[nodiscard]] std::uint32_t index_of(std::uint32_t position) const {
    return position & (units - 1);
  }
  [[nodiscard]] std::byte* unit(std::uint32_t index) const {
    return base + std::uint64_t{index} * kUnit;
  }
};

// What any member can write over is looked at before it leads further: all of the segment must lie
// in one window, where its units can be read and written. Throws Error where `segment` can be none.
Segment segment_at(Offset segment) {
  constexpr std::uint64_t kLeast = kFirstSegmentBytes / kUnit;
  constexpr std::uint64_t kMost = kMostSegmentBytes / kUnit;
  static_assert(kLeast >= kLapBegin + 1 + bytes::kInlineBytes / kUnit + kLinkUnits);
  if (__builtin_expect(segment % arena::kPageBytes != 0, 0)) Ring::damaged();
  std::byte* const base = arena::at(segment);
  const std::uint64_t units = reinterpret_cast<const SegmentHead*>(base)->units;
  // Not std::has_single_bit, which is a call on a processor that may have no instruction for it.
  const bool possible = units >= kLeast && units <= kMost && (units & (units - 1)) == 0 &&
                        segment % arena::kWindowBytes + units * kUnit <= arena::kWindowBytes;
  if (__builtin_expect(!possible, 0)) Ring::damaged();
  return {base, static_cast<std::uint32_t>(units)};
}

constexpr std::uint32_t units_for(std::size_t bytes) {
  return 1 + static_cast<std::uint32_t>((bytes + kUnit - 1) / kUnit);
}

// The put end's lock. A message is sent by one store of the tail; the one other word that may go
// with it (`clears`) was noted before that store, and is cleared again, which is harmless, or
// forgotten by whoever takes the lock from the dead. The dead may also have been changing the
// arena.
class PutLock {
 public:
  explicit PutLock(PutEnd& put, sync::IfStuck if_stuck = sync::IfStuck::wait) : put_(put) {
    const auto me = sync::self();
    if (__builtin_expect(!put_.lock.try_lock(me), 0)) lock_slowly(me, if_stuck);
  }
  ~PutLock() { put_.lock.unlock(); }
  PutLock(const PutLock&) = delete;
  PutLock& operator=(const PutLock&) = delete;

  // Before the tail becomes `tail`: the word at `where` goes with it.
  void note(Offset where, std::uint64_t tail) {
    put_.clears_at.store(tail, std::memory_order_relaxed);
    // Release: pairs with the acquire in repair(), which then sees the tail meant.
    put_.clears.store(where, std::memory_order_release);
  }
  // After that.
  void clear_noted() {
    clear();
    // Release: whoever sees this 0 in repair() need not clear the word.
    put_.clears.store(0, std::memory_order_release);
  }

 private:
  [[gnu::noinline]] void lock_slowly(sync::MemberId me, sync::IfStuck if_stuck) {
    if (sync::lock_internally(put_.lock, me, if_stuck) != sync::Locked::owner_died) return;
    try {
      repair();
    } catch (...) {
      put_.lock.abandon();  // what cannot be mapped here is for others
      throw;
    }
  }
  void repair() {
    const arena::ArenaJournal replay;
    // Acquire, here and for the tail: pairs with the release stores of note() and try_push().
    if (put_.clears.load(std::memory_order_acquire) == 0) return;
    if (put_.tail.load(std::memory_order_acquire) == put_.clears_at.load(std::memory_order_relaxed))
      clear();
    put_.clears.store(0, std::memory_order_release);
  }
  void clear() {
    const Offset where = put_.clears.load(std::memory_order_relaxed);
    if (__builtin_expect(where % sizeof(std::uint64_t) != 0, 0)) {
      put_.clears.store(0, std::memory_order_release);  // or nobody would ever get the lock
      arena::damaged();
    }
    // Release: the word is not seen to be 0 before the tail that it goes with.
    std::atomic_ref(arena::at<std::uint64_t>(where)).store(0, std::memory_order_release);
  }

  PutEnd& put_;
};

// Positions wrap around at 2^32 units, so they are compared by their distance, which is two
// segments at most.
bool below(std::uint32_t position, std::uint32_t limit) {
  return static_cast<std::int32_t>(limit - position) >= 0;
}

}  // namespace

void Ring::damaged() {
  throw Error("a queue's memory is damaged: some member of the family wrote where it should not");
}

std::uint32_t Ring::size() const {
  // Sequentially consistent, as all looks that a bell's waiter takes: see puts().
  const auto look_at_gets = [&] {
    return Mark::of(words_->get.head.load(std::memory_order_seq_cst)).count;
  };
  for (std::uint32_t gets = look_at_gets();;) {
    const std::uint32_t sent = puts();
    // Between two equal looks at gets the puts were as they were seen.
    const std::uint32_t again = look_at_gets();
    if (again == gets) return sent - gets;
    gets = again;
  }
}

// --- the put end ---

// Whether the bound is reached. The get end is looked at only when it was as far as it was last
// seen; so while there is room, receivers keep their line. Requires: the put end's lock.
bool Ring::no_room_at(Mark tail) {
  const std::uint32_t most = words_->most_messages;
  auto& seen_gets = words_->put.seen_gets;
  if (most == 0 || tail.count - seen_gets.load(std::memory_order_relaxed) < most) return false;
  // Acquire: pairs with advance() and with the commits that move the head.
  const Mark head = Mark::of(words_->get.head.load(std::memory_order_acquire));
  seen_gets.store(head.count, std::memory_order_relaxed);
  return tail.count - head.count >= most;
}

// Makes sure that `units` fit after `tail`, which moves over a skipped rest or into a new segment,
// and returns where they go. Requires: the put end's lock, here and in grow().
std::byte* Ring::reserve(Mark& tail, std::uint32_t units, IfStuck if_stuck) {
  PutEnd& put = words_->put;
  Offset segment = put.segment.load(std::memory_order_relaxed);
  if (segment == 0) return grow(tail, units, if_stuck);
  const Segment here = segment_at(segment);
  const std::uint32_t all = here.units;
  const std::uint32_t index = here.index_of(tail.position);
  // The record, and room for a link after it, have to fit before the end of the segment. Otherwise
  // a skip goes there, for which such room was left, and the record goes to the beginning of the
  // next lap.
  const bool wraps = index + units + kLinkUnits > all;
  const std::uint32_t begin = wraps ? tail.position + (all - index) + kLapBegin : tail.position;
  const std::uint32_t end = begin + units + kLinkUnits;
  if (!below(end, static_cast<std::uint32_t>(put.free_until.load(std::memory_order_relaxed)))) {
    // The segment before the head: find() stores them the other way round, so whoever sees the new
    // segment also sees a head inside it. Otherwise the new segment could be paired with a head of
    // the old one, and room that is not read yet be taken for free.
    const Offset reading = words_->get.segment.load(std::memory_order_acquire);
    const Mark head = Mark::of(words_->get.head.load(std::memory_order_acquire));
    // Everything up to one lap after the head is free, since it was read before.
    const std::uint32_t from = reading == segment ? head.position : kLapBegin;
    put.free_until.store(from + all, std::memory_order_relaxed);
    if (!below(end, from + all) || units + kLinkUnits + kLapBegin > all) {
      return grow(tail, units, if_stuck);
    }
  }
  if (wraps) {
    const RecordHead skip{0, RecordKind::skip};
    std::memcpy(here.unit(index), &skip, sizeof skip);
    tail.position = begin;
  }
  return here.unit(here.index_of(tail.position));
}

// Links a new segment to the full one, and moves `tail` to its first record, whose place it
// returns.
std::byte* Ring::grow(Mark& tail, std::uint32_t units, IfStuck if_stuck) {
  PutEnd& put = words_->put;
  const Offset old = put.segment.load(std::memory_order_relaxed);
  std::uint64_t bytes =
      old == 0 ? kFirstSegmentBytes : std::uint64_t{segment_at(old).units} * kUnit * 2;
  if (bytes > kMostSegmentBytes) bytes = kMostSegmentBytes;
  FORKFUL_CHECK(std::uint64_t{units + kLinkUnits + kLapBegin} * kUnit <= bytes);
  arena::ArenaJournal journal(if_stuck);
  const Offset segment = arena::stage_allocate(journal, bytes);
  std::byte* const base = arena::at(segment);
  reinterpret_cast<SegmentHead*>(base)->units = bytes / kUnit;
  if (old != 0) {
    const Segment full = segment_at(old);
    const std::uint32_t index = full.index_of(tail.position);
    if (index + kLinkUnits > full.units) damaged();
    const RecordHead link{0, RecordKind::link};
    std::memcpy(full.unit(index), &link, sizeof link);
    std::memcpy(full.unit(index + 1), &segment, sizeof segment);
  } else {
    // Race: only this first sender writes the get end without the get end's lock. A receiver
    // returns from find() before it touches the segment, as long as the counts of both ends are
    // equal, and the tail's count moves only with the store that follows.
    journal.set(get_offset(offsetof(GetEnd, head)), Mark{tail.count, kLapBegin}.word());
    journal.set(get_offset(offsetof(GetEnd, segment)), segment);
  }
  tail.position = kLapBegin;
  journal.set(put_offset(offsetof(PutEnd, tail)), tail.word());
  journal.set(put_offset(offsetof(PutEnd, segment)), segment);
  // All of the new segment's first lap.
  journal.set(put_offset(offsetof(PutEnd, free_until)), kLapBegin + bytes / kUnit);
  journal.commit();
  return base + std::uint64_t{kLapBegin} * kUnit;
}

void Ring::refuse(IfStuck if_stuck) {
  const PutLock lock(words_->put, if_stuck);
  // Pairs with the looks of those who wait, by way of the bells that shut_down() notifies next.
  words_->closed.store(kRefusing, std::memory_order_seq_cst);
}

void Ring::finish_puts() { const PutLock lock(words_->put); }

Ring::Push Ring::try_push(std::span<const Bytes> parts, std::size_t size, Offset clears,
                          IfStuck if_stuck) {
  FORKFUL_CHECK(size <= bytes::kInlineBytes);
  PutEnd& put = words_->put;
  PutLock lock(put, if_stuck);
  if (words_->closed.load(std::memory_order_relaxed) == kRefusing) return Push::full;
  Mark tail = Mark::of(put.tail.load(std::memory_order_relaxed));
  if (no_room_at(tail)) return Push::full;
  const std::uint32_t units = units_for(size);
  std::byte* to = reserve(tail, units, if_stuck);
  const RecordHead head{static_cast<std::uint32_t>(size), RecordKind::bytes};
  std::memcpy(to, &head, sizeof head);
  to += sizeof head;
  for (const Bytes part : parts) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  FORKFUL_FAULT("queue.put.reserved");
  const std::uint64_t sent = Mark{tail.count + 1, tail.position + units}.word();
  if (clears != 0) lock.note(clears, sent);
  // Pairs with the acquire in find().
  put.tail.store(sent, std::memory_order_release);
  if (clears != 0) lock.clear_noted();
  FORKFUL_FAULT("queue.put.committed");
  return Push::sent;
}

// The tail moves in the commit that makes the run the family's. So at any death the run belongs
// either to the sender or to the message, never to both or to neither.
Ring::Push Ring::try_push_run(Offset run, std::size_t size,
                              const std::function<void(Journal&)>& also, IfStuck if_stuck,
                              const std::function<void(Journal&)>& first) {
  PutEnd& put = words_->put;
  const PutLock lock(put, if_stuck);
  if (words_->closed.load(std::memory_order_relaxed) == kRefusing) return Push::full;
  Mark tail = Mark::of(put.tail.load(std::memory_order_relaxed));
  if (no_room_at(tail)) return Push::full;
  const RunRecord record{run, size};
  const std::uint32_t units = units_for(sizeof record);
  std::byte* to = reserve(tail, units, if_stuck);
  const RecordHead head{sizeof record, RecordKind::run};
  std::memcpy(to, &head, sizeof head);
  std::memcpy(to + sizeof head, &record, sizeof record);
  arena::ArenaJournal journal(if_stuck);
  arena::stage_owner(journal, run, arena::kFamilyOwned);
  // Race: receivers take neither of these two locks, so from the tail's store on the message may be
  // read, and whoever sees what is applied after it finds the message sent.
  if (first) first(journal);
  journal.set(put_offset(offsetof(PutEnd, tail)),
              Mark{tail.count + 1, tail.position + units}.word());
  if (also) also(journal);
  journal.commit();
  FORKFUL_FAULT("queue.put.committed");
  return Push::sent;
}

// --- the get end ---

// The record at the head, with a skip passed over. Trusts nothing: any member may have written over
// the record, so every size and index is compared with the segment's.
Ring::Found Ring::look(Offset segment, Mark head) const {
  const Segment here = segment_at(segment);
  const std::uint32_t all = here.units;
  // One skip may come before a record, and no second one.
  for (int laps = 0; laps < 2; ++laps) {
    const std::uint32_t index = here.index_of(head.position);
    Found found;
    std::memcpy(&found.head, here.unit(index), sizeof found.head);
    found.body = here.unit(index + 1);
    switch (found.head.kind) {
      case RecordKind::skip:
        head.position += all - index + kLapBegin;
        continue;
      case RecordKind::link:
        if (index + kLinkUnits > all) damaged();
        return found;
      case RecordKind::run:
        if (found.head.size != sizeof(RunRecord)) damaged();
        [[fallthrough]];
      case RecordKind::bytes: {
        const std::uint32_t units = units_for(found.head.size);
        if (found.head.size > bytes::kInlineBytes || index + units > all) damaged();
        found.next = {head.count + 1, head.position + units};
        return found;
      }
    }
    damaged();
  }
  damaged();
}

// The next message; segments that were read to their end are freed. False when there is none.
// `get_journal` is there to show that the caller has the get end's lock.
bool Ring::find(Journal& get_journal, Found& found, IfStuck if_stuck) {
  (void)get_journal;
  GetEnd& get = words_->get;
  for (;;) {
    const Mark head = Mark::of(get.head.load(std::memory_order_relaxed));
    if (head.count == get.seen_puts.load(std::memory_order_relaxed)) {
      FORKFUL_FAULT("queue.get.looked");
      // Acquire: pairs with the release in try_push() and with the commit in try_push_run().
      const Mark tail = Mark::of(words_->put.tail.load(std::memory_order_acquire));
      if (head.count == tail.count) return false;
      get.seen_puts.store(tail.count, std::memory_order_relaxed);
      // Once more from the head: the sender of the very first message has moved it (see grow()),
      // maybe between the two looks.
      continue;
    }
    const Offset segment = get.segment.load(std::memory_order_relaxed);
    found = look(segment, head);
    if (found.head.kind != RecordKind::link) return true;
    Offset next = 0;
    std::memcpy(&next, found.body, sizeof next);
    if (!arena::is_run(next, kFirstSegmentBytes)) damaged();
    {
      arena::ArenaJournal journal(if_stuck);
      // The head before the segment: reserve() reads them the other way round.
      journal.set(get_offset(offsetof(GetEnd, head)), Mark{head.count, kLapBegin}.word());
      journal.set(get_offset(offsetof(GetEnd, segment)), next);
      arena::stage_free(journal, segment, arena::run_bytes(segment));
      journal.commit();
    }
    arena::tidy_heap();
  }
}

bool Ring::try_pop(Message& into, IfStuck if_stuck) {
  Journal get(words_->get.journal, if_stuck);
  Found found;
  if (!find(get, found, if_stuck)) return false;
  if (found.head.kind == RecordKind::bytes) {
    into.copy(found.body, found.head.size);
    FORKFUL_FAULT("queue.get.copied");
    advance(found.next);
    FORKFUL_FAULT("queue.get.committed");
    return true;
  }
  RunRecord record;
  std::memcpy(&record, found.body, sizeof record);
  if (!arena::is_run(record.run, record.size)) damaged();
  (void)arena::at(record.run, record.size);  // where that cannot be mapped, nothing is received
  {
    arena::ArenaJournal journal(if_stuck);
    arena::stage_owner(journal, record.run, sync::self().bits);
    journal.set(get_offset(offsetof(GetEnd, head)), found.next.word());
    journal.commit();
  }
  FORKFUL_FAULT("queue.get.committed");
  into.take_block(record.run, record.size);
  return true;
}

// Called over and over, until it answers true, when nobody holds the ring any more; the caller
// commits after each step. A step frees one run or one segment, so that no step needs more of the
// journal than there is.
bool Ring::take_apart(Journal& journal) {
  const Offset head_at = get_offset(offsetof(GetEnd, head));
  const Offset segment = journal.get(get_offset(offsetof(GetEnd, segment)));
  if (segment == 0) return true;
  Mark head = Mark::of(journal.get(head_at));
  const Mark tail = Mark::of(words_->put.tail.load(std::memory_order_relaxed));
  const std::uint32_t begin = head.position;
  while (head.count != tail.count) {
    const Found found = look(segment, head);
    if (found.head.kind == RecordKind::bytes) {
      head = found.next;
      // What was read is met again: the counts are wrong.
      if (head.position - begin > segment_at(segment).units) damaged();
      continue;
    }
    if (found.head.kind == RecordKind::link) {
      Offset next = 0;
      std::memcpy(&next, found.body, sizeof next);
      if (!arena::is_run(next, kFirstSegmentBytes)) damaged();
      journal.set(get_offset(offsetof(GetEnd, segment)), next);
      journal.set(head_at, Mark{head.count, kLapBegin}.word());
      arena::stage_free(journal, segment, arena::run_bytes(segment));
      return false;
    }
    RunRecord record;
    std::memcpy(&record, found.body, sizeof record);
    if (!arena::is_run(record.run, record.size)) damaged();
    journal.set(head_at, found.next.word());
    arena::stage_free(journal, record.run, arena::run_bytes(record.run));
    return false;
  }
  // An empty segment may have a link to a newer one that nothing was sent through.
  const Offset last = words_->put.segment.load(std::memory_order_relaxed);
  journal.set(get_offset(offsetof(GetEnd, segment)), last == segment ? 0 : last);
  journal.set(head_at, Mark{head.count, kLapBegin}.word());
  arena::stage_free(journal, segment, arena::run_bytes(segment));
  return last == segment;
}

}  // namespace forkful::channel
