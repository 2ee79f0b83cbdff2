// Words of shared objects that a rogue member has written over are an error or nothing, not a
// crash.
#include <gtest/gtest.h>

#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/queue.hpp>
#include <forkful/errors.hpp>

#include "arena/family.hpp"

namespace forkful::bytes {
namespace {

using arena::ObjectHeader;

ObjectHeader& header_of(const Shared& object) {
  return arena::at<ObjectHeader>(object.name().offset);
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
  Shared::Name name{};
  {
    const ByteQueue queue = ByteQueue::create();
    queue.pin();
    name = queue.name();
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

}  // namespace
}  // namespace forkful::bytes
