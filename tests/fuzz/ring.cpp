// A ring whose words and records are an input's: it is received from, claimed from, sent through
// and taken apart.
#include "channel/ring.hpp"

#include <array>
#include <forkful/bytes/queue.hpp>
#include <string>

#include "base/check.hpp"
#include "image.hpp"

namespace forkful::fuzz::ring {
namespace {

using arena::ArenaJournal;
using arena::Journal;
using base::Offset;
using bytes::ByteMessage;
using bytes::ByteQueue;
using channel::Ring;
using channel::RingWords;

constexpr std::size_t kSegmentBytes = 16384;

// A queue with messages of each kind in it, over and over: what a record names stays the same.
class Subject {
 public:
  [[nodiscard]] Ring ring() const { return {words(), words_at()}; }
  [[nodiscard]] RingWords& words() const { return arena::at<RingWords>(words_at()); }
  [[nodiscard]] std::byte* segment() const { return segment_; }
  void restore() const { image_.restore(); }

  // An input is the words, and as much of the segment that is received from as it has bytes for.
  [[nodiscard]] Input as_input(std::size_t size) const {
    Input input(sizeof(RingWords) + size);
    std::memcpy(input.data(), static_cast<const void*>(&words()), sizeof(RingWords));
    std::memcpy(input.data() + sizeof(RingWords), segment_, size);
    return input;
  }
  void become(Bytes input) const {
    Choices from(input);
    const Bytes its_words = from.take(sizeof(RingWords));
    std::memcpy(static_cast<void*>(&words()), its_words.data(), its_words.size());
    const Bytes records = from.take(kSegmentBytes);
    if (!records.empty()) std::memcpy(segment_, records.data(), records.size());
  }
  // A lock is free, or a dead member's. What the dead had committed is written by whoever takes
  // their lock, and may be another lock.
  void free_locks() const {
    for (sync::OwnerWord* lock :
         {&words().put.lock, &words().get.journal.lock, &arena::header().journal.lock}) {
      if (would_wait(*lock)) (void)lock->unlock();
    }
  }

 private:
  [[nodiscard]] Offset words_at() const {
    return queue_.id().offset + arena::Held::body_at<RingWords>();
  }
  void put(std::size_t size) const {
    const std::string text(size, 'm');
    const Bytes part = std::as_bytes(std::span(text));
    Wait wait;
    FORKFUL_CHECK(queue_.put({&part, 1}, wait) == ByteQueue::Put::sent);
  }

  // Returns the segment that is received from.
  std::byte* fill() const {
    // So many messages that a second segment is linked after the first.
    for (int i = 0; i < 80; ++i) put(i % 2 == 0 ? 700 : 5000);
    return arena::at(words().get.segment.load());
  }

  ByteQueue queue_ = ByteQueue::create();
  std::byte* segment_ = fill();
  Image image_;
};

const Subject& subject() {
  static const auto* const one = new Subject;
  return *one;
}

// Until it answers that there is no more, or refuses.
template <class Step>
void repeat(int most, Step&& step) {
  tolerate([&] {
    try {
      for (int i = 0; i < most; ++i) {
        subject().free_locks();
        if (!step()) return;
      }
    } catch (const sync::StuckLock&) {
      // Why: a lock that seems to be somebody's is left, as it should be.
    }
  });
}

}  // namespace

void read(Bytes input) {
  const Subject& queue = subject();
  queue.restore();
  queue.become(input);
  Ring ring = queue.ring();
  (void)ring.size();
  (void)ring.full();
  const std::array<std::byte, 40> text{};
  const Bytes part = text;
  repeat(3, [&] {
    return ring.try_push({&part, 1}, text.size(), 0, Ring::IfStuck::leave) == Ring::Push::sent;
  });
  repeat(40, [&] {
    ByteMessage message;
    const bool popped = ring.try_pop(message, Ring::IfStuck::leave);
    if (popped && message.bytes().size() > 0) (void)message.data()[message.bytes().size() - 1];
    return popped;
  });
  repeat(20, [&] {
    ByteMessage message;
    return ring.try_claim(message, [](Journal&, Offset, std::size_t, Bytes) {});
  });
  repeat(60, [&] {
    return ring.try_push({&part, 1}, text.size(), 0, Ring::IfStuck::leave) == Ring::Push::sent;
  });
  tolerate([&] {
    constexpr int kMostSteps = 10'000;  // beyond what any ring of this size needs
    int steps = 0;
    for (bool done = false; !done; ++steps) {
      FORKFUL_CHECK(steps < kMostSteps);
      queue.free_locks();
      ArenaJournal journal;
      done = ring.take_apart(journal);
      journal.commit();
    }
  });
}

std::vector<Input> seeds() {
  const Subject& queue = subject();
  queue.restore();
  std::vector<Input> all{queue.as_input(kSegmentBytes / 4), queue.as_input(0)};
  // Further on: some were received, so the next record is another one.
  for (int i = 0; i < 5; ++i) {
    ByteMessage message;
    (void)queue.ring().try_pop(message);
    all.push_back(queue.as_input(kSegmentBytes / 2));
  }
  return all;
}

}  // namespace forkful::fuzz::ring
