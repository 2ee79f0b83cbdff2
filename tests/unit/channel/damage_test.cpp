// Words of a ring that a rogue member has written over are an error at either end, not a crash.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <forkful/bytes/queue.hpp>
#include <forkful/errors.hpp>

#include "arena/membership.hpp"
#include "arena/shares.hpp"
#include "channel/ring.hpp"
#include "support/messages.hpp"

namespace forkful::bytes {
namespace {

using base::Offset;
using channel::Mark;
using channel::RingWords;
using test::get;
using test::make_message;
using test::put;

constexpr std::uint64_t kSegmentBytes = 16384;

class DamagedQueue : public testing::Test {
 protected:
  DamagedQueue() {
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(put(queue_, make_message(1, i, 40)), ByteQueue::Put::sent);
  }
  RingWords& words() {
    return arena::at<RingWords>(queue_.id().offset + arena::Held::body_at<RingWords>());
  }
  Offset segment() { return words().get.segment.load(); }
  void expect_errors() {
    EXPECT_THROW((void)put(queue_, make_message(1, 3, 40)), Error);
    ByteMessage message;
    Wait poll(Deadline::poll());
    EXPECT_THROW((void)queue_.get(message, poll), Error);
  }

  ByteQueue queue_ = ByteQueue::create();
};

TEST_F(DamagedQueue, a_segment_of_an_impossible_size_is_an_error_at_either_end) {
  for (const std::uint64_t units : {0ull, 1ull, 1024ull, 2047ull, 1ull << 20, ~0ull}) {
    arena::at<std::uint64_t>(segment()) = units;
    expect_errors();
  }
}

TEST_F(DamagedQueue, a_segment_where_none_can_be_is_an_error_at_either_end) {
  // The last is a page so near to its window's end that what it seems to hold lies beyond.
  const Offset last_page = arena::kWindowBytes - arena::kPageBytes;
  arena::at<std::uint64_t>(last_page) = kSegmentBytes / 8;
  for (const Offset where : {Offset{8}, segment() + 4, last_page}) {
    words().get.segment = where;
    words().put.segment = where;
    expect_errors();
  }
}

TEST_F(DamagedQueue, a_link_that_reaches_beyond_its_segment_is_an_error) {
  constexpr std::uint32_t kLast = kSegmentBytes / 8 - 1;
  constexpr std::uint64_t kLinkHead = 4ull << 32;
  arena::at<std::uint64_t>(segment() + kLast * 8) = kLinkHead;
  words().get.head = Mark{Mark::of(words().get.head).count, kLast}.word();
  ByteMessage message;
  Wait poll(Deadline::poll());
  EXPECT_THROW((void)queue_.get(message, poll), Error);
  // Likewise where the sender would write one: nothing seems to be free, so it links a new one.
  words().put.tail = Mark{Mark::of(words().put.tail).count, kLast}.word();
  words().put.free_until = 0;
  words().get.head = Mark{0, kLast + 1 - static_cast<std::uint32_t>(kSegmentBytes / 8)}.word();
  EXPECT_THROW((void)put(queue_, make_message(1, 3, 40)), Error);
}

TEST_F(DamagedQueue, what_a_dead_sender_seems_to_have_noted_is_an_error_once_and_then_forgotten) {
  constexpr auto kNobody = base::MemberId::of(0, 1);
  ASSERT_TRUE(words().put.lock.try_lock(kNobody));
  words().put.clears = 13;  // no word begins there
  words().put.clears_at = words().put.tail.load();
  EXPECT_THROW((void)put(queue_, make_message(1, 3, 40)), Error);
  EXPECT_EQ(put(queue_, make_message(1, 3, 40)), ByteQueue::Put::sent);
}

TEST_F(DamagedQueue, one_whose_marks_are_far_apart_is_taken_apart_in_a_moment) {
  const Mark head = Mark::of(words().get.head);
  // All of it are records, so that whoever reads on comes round again.
  for (std::uint32_t unit = 8; unit < kSegmentBytes / 8; ++unit) {
    constexpr std::uint64_t kEmptyRecord = 1ull << 32;
    arena::at<std::uint64_t>(segment() + unit * 8) = kEmptyRecord;
  }
  words().put.tail = Mark{head.count - 1, head.position}.word();
  arena::ArenaJournal journal;
  channel::Ring ring(words(), queue_.id().offset + arena::Held::body_at<RingWords>());
  EXPECT_THROW((void)ring.take_apart(journal), Error);
}

}  // namespace
}  // namespace forkful::bytes
