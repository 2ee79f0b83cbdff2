// Messages: inline copies, and blocks that belong to whoever has them.
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <forkful/bytes/message.hpp>
#include <forkful/errors.hpp>
#include <memory>
#include <vector>

#include "arena/membership.hpp"
#include "message/block.hpp"
#include "support/child.hpp"

namespace forkful::bytes {
namespace {

class MessageTest : public testing::Test {
 protected:
  ~MessageTest() override {
    arena::check_heap();
    EXPECT_EQ(arena::heap_use().used_bytes, used_);
  }
  std::uint64_t used_ = (arena::join_family(), arena::heap_use().used_bytes);
};

TEST_F(MessageTest, is_empty_at_first) {
  ByteMessage message;
  EXPECT_TRUE(message.bytes().empty());
  message.reset();
  EXPECT_TRUE(message.bytes().empty());
}

TEST_F(MessageTest, copies_what_is_small) {
  std::vector<std::byte> source(kInlineBytes, std::byte{3});
  ByteMessage message;
  message.copy(source.data(), source.size());
  source.assign(source.size(), std::byte{4});
  ASSERT_EQ(message.bytes().size(), kInlineBytes);
  EXPECT_EQ(message.bytes()[kInlineBytes - 1], std::byte{3});
  EXPECT_EQ(message.release_block(), 0u);
}

TEST_F(MessageTest, frees_its_block) {
  const std::vector<std::byte> part(10'000, std::byte{1});
  const std::array<Bytes, 2> parts{part, part};
  {
    ByteMessage message;
    message.take_block(message::write_block(parts, 20'000), 20'000);
    EXPECT_EQ(message.bytes().size(), 20'000u);
    EXPECT_EQ(message.bytes()[19'999], std::byte{1});
    EXPECT_GT(arena::heap_use().used_bytes, used_);
    message.reset();
    EXPECT_EQ(arena::heap_use().used_bytes, used_);
    message.take_block(message::write_block(parts, 20'000), 20'000);
  }
}

TEST_F(MessageTest, hands_its_block_over) {
  ByteMessage message;
  message.take_block(message::write_block(std::span<const Bytes>(), 5'000), 5'000);
  const std::uint64_t block = message.release_block();
  message.reset();
  EXPECT_TRUE(arena::is_run(block, 5'000));
  arena::free_run(block);
}

TEST_F(MessageTest, a_block_that_memory_cannot_hold_is_refused) {
  try {
    (void)message::write_block(std::span<const Bytes>(), std::size_t{200} << 30);
    ADD_FAILURE();
  } catch (const OsError& error) {
    EXPECT_EQ(error.error(), ENOSPC);
  }
}

TEST_F(MessageTest, a_block_goes_with_a_member_that_is_killed) {
  test::Child child = test::fork_child([] {
    auto message = std::make_unique<ByteMessage>();
    message->take_block(message::write_block(std::span<const Bytes>(), 1 << 20), 1 << 20);
    test::die();
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
}

// Parent and child have the same handle, and only one of them may free.
TEST_F(MessageTest, a_fork_does_not_free_its_parents_block) {
  auto message = std::make_unique<ByteMessage>();
  message->take_block(message::write_block(std::span<const Bytes>(), 9'000), 9'000);
  const std::uint64_t block = message->release_block();
  message->take_block(block, 9'000);
  test::Child child = test::fork_child([&] { message.reset(); });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(arena::is_run(block, 9'000));
  message.reset();
  EXPECT_FALSE(arena::is_run(block, 9'000));
}

}  // namespace
}  // namespace forkful::bytes
