// Words of shared objects that a rogue member has written over are an error or nothing, not a
// crash.
#include <gtest/gtest.h>

#include <chrono>
#include <forkful/bytes/barrier.hpp>
#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/queue.hpp>
#include <forkful/errors.hpp>

#include "arena/membership.hpp"

namespace forkful::bytes {
namespace {

using arena::ObjectHeader;
using Passed = RawBarrier::Passed;

ObjectHeader& header_of(const Shared& object) {
  return arena::at<ObjectHeader>(object.id().offset);
}

// The word of an object's body.
std::uint64_t& word_of(const Shared& object, std::size_t field) {
  return arena::at<std::uint64_t>(object.id().offset + sizeof(ObjectHeader) + field);
}

TEST(DamagedCell, keeps_the_size_that_its_holder_has_found) {
  const Cell cell = Cell::create(100);
  for (const std::uint64_t bytes : {0ull, 40ull, 1ull << 40}) {
    header_of(cell).bytes = bytes;
    EXPECT_EQ(cell.memory().size(), 100u);
  }
  header_of(cell).bytes = 164;
}

TEST(DamagedObject, one_that_is_too_short_for_its_kind_is_not_adopted) {
  Shared::Id name{};
  {
    const ByteQueue queue = ByteQueue::create();
    queue.pin();
    name = queue.id();
  }
  auto& bytes = arena::at<ObjectHeader>(name.offset).bytes;
  const std::uint64_t right = bytes;
  for (const std::uint64_t wrong : {std::uint64_t{0}, std::uint64_t{32}, right - 1}) {
    bytes = wrong;
    EXPECT_THROW((void)ByteQueue::adopt(name), Error);
  }
  bytes = right;
  EXPECT_EQ(ByteQueue::adopt(name).size(), 0u);
}

TEST(DamagedBarrier, more_parties_than_there_is_room_for_are_an_error) {
  constexpr std::size_t kArrived = 88;
  const RawBarrier barrier = RawBarrier::create(2);
  RawBarrier::Arrival arrival;
  Wait poll(Deadline::poll());
  ASSERT_EQ(barrier.arrive(arrival, poll), Passed::yes);
  ASSERT_EQ(word_of(barrier, kArrived), 1u);
  for (const std::uint64_t arrived : {std::uint64_t{2}, std::uint64_t{3}, ~std::uint64_t{0}}) {
    word_of(barrier, kArrived) = arrived;
    EXPECT_THROW((void)barrier.arrive(arrival, poll), Error);
  }
}

TEST(DamagedBarrier, whoever_waits_in_it_waits_on) {
  constexpr std::size_t kArrived = 88;
  const RawBarrier barrier = RawBarrier::create(2);
  RawBarrier::Arrival arrival;
  Wait poll(Deadline::poll());
  ASSERT_EQ(barrier.arrive(arrival, poll), Passed::yes);
  word_of(barrier, kArrived) = ~std::uint64_t{0};
  // Longer than the time between two looks at the parties.
  Wait some_looks(Deadline::in(std::chrono::milliseconds(300)));
  EXPECT_EQ(barrier.wait(arrival, some_looks), Passed::timed_out);
}

}  // namespace
}  // namespace forkful::bytes
