// Objects live as long as anybody holds them, and no longer.
#include "arena/objects.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/lock.hpp>
#include <forkful/errors.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "kernel/fault.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

using bytes::Cell;
using Flag = std::atomic<int>;

constexpr std::size_t kLarge = 1 << 20;

class Objects : public testing::Test {
 protected:
  Objects() {
    join_family();
    // What grows once and stays: the list of holdings, the first run of small blocks.
    std::vector<Cell> some;
    for (int i = 0; i < 40; ++i) some.push_back(Cell::create(64));
    some.clear();
    used_ = heap_use().used_bytes;
  }
  ~Objects() override {
    check_heap();
    // A list of holdings more or less, or a run of small blocks.
    EXPECT_LT(heap_use().used_bytes, used_ + kLarge / 2);
  }
  [[nodiscard]] bool large_is_alive() const { return heap_use().used_bytes >= used_ + kLarge; }
  std::uint64_t used_ = 0;
  Flag& ready_ = test::shared<Flag>();
  Flag& go_ = test::shared<Flag>();
};

TEST_F(Objects, ten_thousand_created_and_dropped_leave_no_trace) {
  const auto round = [] {
    std::vector<Cell> cells;
    for (int i = 0; i < 10'000; ++i) cells.push_back(Cell::create(64));
    for (std::size_t i = 0; i < cells.size(); i += 3) cells[i] = Cell();
  };
  round();
  const std::uint64_t used = heap_use().used_bytes;
  for (int i = 0; i < 3; ++i) round();
  EXPECT_EQ(heap_use().used_bytes, used);
  used_ = used;  // runs of small blocks stay so
}

// A list of holdings is a small block while it is small, and must be given back as what it was.
TEST_F(Objects, a_growing_list_of_holdings_is_given_back_with_its_member) {
  const auto live_and_die = [] {
    test::Child holder = test::fork_child([] {
      std::vector<Cell> cells;
      for (int each = 0; each < 600; ++each) cells.push_back(Cell::create(64));
      test::die();
    });
    EXPECT_EQ(holder.wait(), -SIGKILL);
    check_heap();
  };
  live_and_die();  // runs of small blocks stay so
  const std::uint64_t used = heap_use().used_bytes;
  for (int i = 0; i < 8; ++i) live_and_die();
  EXPECT_LE(heap_use().used_bytes, used);
}

TEST_F(Objects, fresh_memory_reads_zero) {
  for (int i = 0; i < 50; ++i) {
    const Cell cell = Cell::create(static_cast<std::size_t>(1) << (i % 17));
    for (const std::byte byte : cell.memory()) ASSERT_EQ(byte, std::byte{0});
    std::memset(cell.memory().data(), 0xff, cell.memory().size());
  }
}

TEST_F(Objects, fresh_memory_reads_zero_where_another_object_was) {
  // So large that it gets the memory of the one before, of which some pages were never written.
  constexpr std::size_t kSize = 8 << 20;
  for (int i = 0; i < 3; ++i) {
    const Cell cell = Cell::create(kSize + static_cast<std::size_t>(i) * 5000);
    for (const std::byte byte : cell.memory()) ASSERT_EQ(byte, std::byte{0});
    std::memset(cell.memory().data() + 3333, 0xff, 100'000);
    std::memset(cell.memory().data() + kSize - 50'000, 0xff, 50'000);
  }
}

TEST_F(Objects, a_large_one_has_pages_where_it_is_written) {
  constexpr std::size_t kHuge = 600 << 20;
  const auto pages = [](const Cell& cell) {
    // The vector has a byte for each page, of 4 KiB at least.
    std::vector<unsigned char> there(kHuge / 4096 + 2);
    const auto at = reinterpret_cast<std::uintptr_t>(cell.memory().data()) & ~std::uintptr_t{65535};
    EXPECT_EQ(::mincore(reinterpret_cast<void*>(at), kHuge, there.data()), 0);
    return std::count_if(there.begin(), there.end(), [](auto each) { return (each & 1) != 0; });
  };
  const Cell cell = Cell::create(kHuge);
  // Its ends may share pages with others that were there before.
  const auto before = pages(cell);
  EXPECT_LT(before, 100'000);
  cell.memory()[kHuge / 2] = std::byte{1};
  EXPECT_GT(pages(cell), before);
  EXPECT_LE(pages(cell), before + 512);  // a huge page
}

TEST_F(Objects, fresh_memory_reads_zero_where_the_program_has_closed_everything) {
  test::Child child = test::fork_child([] {
    std::optional<Cell> cell = Cell::create(kLarge);
    std::memset(cell->memory().data(), 0xff, kLarge);
    cell.reset();
    for (int fd = 3; fd < 1024; ++fd) ::close(fd);
    cell = Cell::create(kLarge);
    for (const std::byte byte : cell->memory())
      test::must(byte == std::byte{0}, "fresh memory reads zero");
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Objects, a_killed_holder_gives_back) {
  test::Child child = test::fork_child([&] {
    const Cell cell = Cell::create(kLarge);
    ready_ = 1;
    for (;;) ::pause();
  });
  FORKFUL_AWAIT(ready_ == 1);
  EXPECT_TRUE(large_is_alive());
  child.kill();
  EXPECT_FALSE(large_is_alive());
}

TEST_F(Objects, a_fork_shares_and_the_parent_may_drop_first) {
  std::optional<Cell> cell = Cell::create(kLarge);
  cell->memory()[kLarge - 1] = std::byte{42};
  test::Child child = test::fork_child([&] {
    FORKFUL_AWAIT(go_ == 1);
    FORKFUL_MUST(cell->memory()[kLarge - 1] == std::byte{42});
    cell.reset();
  });
  cell.reset();
  EXPECT_TRUE(large_is_alive());
  go_ = 1;
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Objects, a_child_that_is_killed_before_it_drops_is_dropped_for) {
  std::optional<Cell> cell = Cell::create(kLarge);
  test::Child child = test::fork_child([] { test::die(); });
  cell.reset();
  EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
  EXPECT_TRUE(large_is_alive());
  process_ended(child.member());
  EXPECT_FALSE(large_is_alive());
}

TEST_F(Objects, a_child_killed_after_it_dropped_is_not_dropped_for_twice) {
  const Cell cell = Cell::create(kLarge);
  std::optional<Cell> other = cell;
  test::Child child = test::fork_child([&] {
    other.reset();
    const_cast<Cell&>(cell) = Cell();
    test::die();
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
  EXPECT_TRUE(large_is_alive());
  EXPECT_EQ(cell.memory().size(), kLarge);
}

TEST_F(Objects, a_grandchild_holds_what_its_ancestors_have_dropped) {
  std::optional<Cell> cell = Cell::create(kLarge);
  cell->memory()[0] = std::byte{7};
  test::Child child = test::fork_child([&] {
    test::Child grandchild = test::fork_child([&] {
      ready_ = 1;
      FORKFUL_AWAIT(go_ == 1);
      FORKFUL_MUST(cell->memory()[0] == std::byte{7});
    });
    cell.reset();
    FORKFUL_MUST(grandchild.wait() == 0);
  });
  cell.reset();
  FORKFUL_AWAIT(ready_ == 1);
  EXPECT_TRUE(large_is_alive());
  go_ = 1;
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Objects, a_raw_clone_joins_at_its_first_use) {
  const bytes::RawLock lock = bytes::RawLock::create();
  const Cell cell = Cell::create(kLarge);
  Flag& member = test::shared<Flag>();
  test::Child child = test::clone_child([&] {
    Wait wait;
    FORKFUL_MUST(lock.acquire(wait) == bytes::Acquired::yes);
    member = static_cast<int>(sync::self().bits);
    cell.memory()[0] = std::byte{1};
    FORKFUL_MUST(lock.release());
    const Cell own = Cell::create(100);
    FORKFUL_MUST(own.memory().size() == 100);
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_NE(member, 0);
  const MemberId late{static_cast<std::uint32_t>(member.load())};
  EXPECT_NE(late, sync::self());
  EXPECT_EQ(end_of(late), End::left);
  process_ended(late);
  EXPECT_EQ(cell.memory()[0], std::byte{1});
}

TEST_F(Objects, a_raw_clone_that_joined_keeps_what_its_parent_drops) {
  std::optional<Cell> cell = Cell::create(kLarge);
  Flag& member = test::shared<Flag>();
  test::Child child = test::clone_child([&] {
    member = static_cast<int>(sync::self().bits);
    ready_ = 1;
    FORKFUL_AWAIT(go_ == 1);
    FORKFUL_MUST(cell->memory()[5] == std::byte{0});
    cell.reset();
  });
  FORKFUL_AWAIT(ready_ == 1);
  cell.reset();
  EXPECT_TRUE(large_is_alive());
  go_ = 1;
  EXPECT_EQ(child.wait(), 0);
  process_ended({static_cast<std::uint32_t>(member.load())});
}

TEST_F(Objects, the_fork_of_a_raw_clone_is_a_member) {
  const Cell cell = Cell::create(100);
  test::Child child = test::clone_child([&] {
    test::Child grandchild = test::fork_child([&] {
      const Cell own = Cell::create(64);
      FORKFUL_MUST(cell.memory().size() == 100);
    });
    FORKFUL_MUST(grandchild.member());
    FORKFUL_MUST(grandchild.wait() == 0);
  });
  EXPECT_EQ(child.wait(), 0);
}

// It locks before it has an entry; its pid must tell the others that it is gone.
TEST_F(Objects, a_raw_clone_killed_while_it_joins_blocks_nobody) {
  const Cell cell = Cell::create(100);
  for (const kernel::FaultPoint point :
       test::FaultPoints{"journal.staged", "journal.committed", "journal.applying"}) {
    for (const int pass : {1, 2, 3}) {
      test::Child child = test::clone_child([&] {
        test::die_at(point, pass);
        (void)sync::self();
        test::die();
      });
      EXPECT_EQ(child.wait(), -SIGKILL);
      check_heap();
      EXPECT_EQ(Cell::create(10).memory().size(), 10u);
    }
  }
  // The reservations are swept when nobody has claimed them in time; their lists are small.
}

TEST_F(Objects, a_creator_killed_anywhere_leaves_nothing) {
  for (const kernel::FaultPoint point :
       test::FaultPoints{"journal.staged", "journal.committed", "journal.applying"}) {
    test::Child child = test::fork_child([&] {
      test::die_at(point);
      const Cell cell = Cell::create(kLarge);
      test::must(false, "passed the fault point");
    });
    EXPECT_EQ(child.wait(), -SIGKILL);
    EXPECT_FALSE(large_is_alive()) << point.name();
    check_heap();
  }
}

// Writes over the size of the object at `context`, each time that a word of a commit is written.
void damage_size(void* context) {
  at<ObjectHeader>(*static_cast<Offset*>(context)).bytes = 1;
  kernel::arm_fault("journal.applying", damage_size, context);
}

TEST_F(Objects, one_that_is_damaged_once_it_is_made_goes_with_its_maker) {
  auto& where = test::shared<std::atomic<Offset>>();
  test::Child maker = test::fork_child([&] {
    // The next one of its size has the block that this one gives back.
    Offset object = Cell::create(64).id().offset;
    const std::uint64_t bytes = at<ObjectHeader>(object).bytes;
    kernel::arm_fault("journal.applying", damage_size, &object);
    bool is_refused = false;
    try {
      (void)Cell::create(64);
    } catch (const Error&) {
      is_refused = true;
    }
    kernel::arm_fault("journal.applying", [](void*) {}, nullptr);
    at<ObjectHeader>(object).bytes = bytes;
    FORKFUL_MUST(is_refused && at<ObjectHeader>(object).holders == 1);
    // Has an entry of its own in this member's list.
    const Cell other = Cell::create(64);
    FORKFUL_MUST(other.id().offset != object);
    where = object;
    test::die();
  });
  EXPECT_EQ(maker.wait(), -SIGKILL);
  ASSERT_NE(where.load(), 0u);
  EXPECT_EQ(at<ObjectHeader>(where).kind_and_serial, 0u);  // it was taken apart
}

TEST_F(Objects, adoption_by_name_holds_the_same_object_and_refuses_what_is_gone) {
  const Cell cell = Cell::create(100);
  const auto name = cell.id();
  EXPECT_EQ(Cell::adopt(name), cell);
  const auto adopt = [&](std::uint64_t offset, std::uint64_t serial) {
    (void)Cell::adopt({name.family, offset, serial});
  };
  EXPECT_THROW(adopt(name.offset, name.serial + 1), Error);
  EXPECT_THROW(adopt(name.offset + 64, name.serial), Error);
  EXPECT_THROW(adopt(name.offset + 1, name.serial), Error);
  EXPECT_THROW(adopt(~std::uint64_t{0}, 1), Error);
  EXPECT_THROW((void)bytes::RawLock::adopt(name), Error);
}

TEST_F(Objects, threads_share_one_handle) {
  const Cell cell = Cell::create(kLarge);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int each = 0; each < 500; ++each) {
        const Cell copy = cell;
        const Cell own = Cell::create(64);
        ASSERT_EQ(copy, cell);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cell.memory().size(), kLarge);
}

}  // namespace
}  // namespace forkful::arena
