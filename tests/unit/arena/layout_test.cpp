// Compiling this file is most of the test: whoever moves a shared word must raise kLayoutVersion.
#include "arena/layout.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <forkful/errors.hpp>

#include "arena/membership.hpp"
#include "kernel/memfd.hpp"
#include "support/child.hpp"

namespace forkful::arena {
namespace {

static_assert(kLayoutVersion == 9, "freeze the new layout below");
static_assert(kMagic == 0x6c75666b726f66);

static_assert(kWindowBytes == 256u << 20);
static_assert(kWindows == 1024);
static_assert(kPageBytes == 4096);
static_assert(kMembers == 32768);
static_assert(kHeaderAt == 2u << 20);
static_assert(kMembersAt == kHeaderAt + 65536);
static_assert(kFirstWindowDataAt == kMembersAt + (12u << 20));

#define FROZEN(type, member, offset) static_assert(offsetof(type, member) == (offset))

static_assert(sizeof(PageWords) == 32);
FROZEN(PageWords, head, 0);
FROZEN(PageWords, foot, 8);
FROZEN(PageWords, next, 16);
FROZEN(PageWords, prev, 24);

static_assert(sizeof(JournalEntry) == 16);
FROZEN(JournalEntry, where, 0);
FROZEN(JournalEntry, value, 8);
using EightEntries = JournalWords<8>;
static_assert(sizeof(EightEntries) == 136);
FROZEN(EightEntries, lock, 0);
FROZEN(EightEntries, committed, 4);
FROZEN(EightEntries, entries, 8);

static_assert(sizeof(Member) == 384 && alignof(Member) == 64);
FROZEN(Member, state, 0);
FROZEN(Member, last_ends, 8);
FROZEN(Member, seen_at_ns, 16);
FROZEN(Member, pid, 24);
FROZEN(Member, parent, 28);
FROZEN(Member, flags, 32);
FROZEN(Member, asleep, 36);
FROZEN(Member, holdings, 40);
FROZEN(Member, start, 48);
FROZEN(Member, runs, 56);
FROZEN(Member, cpus_noted, 64);
FROZEN(Member, exit_word, 68);
FROZEN(Member, name, 72);
FROZEN(Member, pid_namespace, 104);
FROZEN(Member, lock_lasts, 112);
FROZEN(Member, reserved, 120);
FROZEN(Member, at_hand, 128);
FROZEN(Member, sleeps_at, 192);
FROZEN(Member, sleeps_since_ns, 200);
FROZEN(Member, reserved_more, 208);
FROZEN(Member, cpus, 256);

FROZEN(Header, magic, 0);
FROZEN(Header, layout_version, 8);
FROZEN(Header, family_id, 16);
FROZEN(Header, hash_key, 24);
FROZEN(Header, root, 40);
FROZEN(Header, cpus, 44);
FROZEN(Header, quota_cpus, 48);
FROZEN(Header, first_entry_unused, 52);
FROZEN(Header, member_cursor, 56);
FROZEN(Header, next_serial, 64);
FROZEN(Header, windows_used, 72);
FROZEN(Header, used_pages, 80);
FROZEN(Header, checked_pages, 88);
FROZEN(Header, warm_pages, 96);
FROZEN(Header, log_level, 104);
FROZEN(Header, log_fd, 108);
FROZEN(Header, dying, 112);
FROZEN(Header, unwanted, 120);
FROZEN(Header, bins, 128);
FROZEN(Header, small_blocks, 384);
FROZEN(Header, spares, 432);
FROZEN(Header, windows_taken, 560);
FROZEN(Header, windows_of_runs, 688);
FROZEN(Header, journal, 832);
FROZEN(Header, members_live, 2432);
FROZEN(Header, members_asleep, 6528);
FROZEN(Header, deaths_seen, 10624);
FROZEN(Header, deaths, 10632);
FROZEN(Header, labels, 12736);
static_assert(sizeof(Header) == 45504 && alignof(Header) == 64);

static_assert(sizeof(Death) == 64);
FROZEN(Death, member, 0);
FROZEN(Death, pid, 4);
FROZEN(Death, parent, 8);
FROZEN(Death, flags, 12);
FROZEN(Death, at_ns, 16);
FROZEN(Death, sleeps_at, 24);
FROZEN(Death, name, 32);
static_assert(kDeathsKept == 31);

static_assert(sizeof(LabelWords) == 64);
FROZEN(LabelWords, hash, 0);
FROZEN(LabelWords, text, 8);
static_assert(kLabels == 512);

static_assert(sizeof(ObjectHeader) == 40);
FROZEN(ObjectHeader, kind_and_serial, 0);
FROZEN(ObjectHeader, holders, 8);
FROZEN(ObjectHeader, bytes, 16);
FROZEN(ObjectHeader, link, 24);
FROZEN(ObjectHeader, label, 32);

static_assert(static_cast<int>(MemberState::free) == 0);
static_assert(static_cast<int>(MemberState::reserved) == 1);
static_assert(static_cast<int>(MemberState::live) == 2);
static_assert(static_cast<int>(MemberState::left) == 3);
static_assert(static_cast<int>(MemberState::died) == 4);

// Alone in its process, since whoever has a family cannot accept an invitation.
class LayoutDeathTest : public testing::Test {
 protected:
  LayoutDeathTest() { testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
};

[[noreturn]] void join_arena_of_version(std::uint64_t magic, std::uint32_t version) {
  kernel::Fd arena = kernel::make_memfd("forkful-arena", kWindowBytes);
  kernel::Fd liveness = kernel::make_memfd("forkful-liveness", kMembers);
  Header head{};
  head.magic = magic;
  head.layout_version = version;
  if (::pwrite(arena.get(), static_cast<const void*>(&head), 16, kHeaderAt) != 16) ::_exit(2);
  try {
    Invitation invitation{};
    invitation.arena_fd = arena.release();
    invitation.liveness_fd = liveness.release();
    invitation.member = MemberId::of(1, 1);
    accept_invitation(invitation);
  } catch (const LayoutMismatch& error) {
    std::fprintf(stderr, "%s\n", error.what());
    ::_exit(42);
  }
  ::_exit(3);
}

TEST_F(LayoutDeathTest, an_arena_of_another_layout_version_is_refused) {
  EXPECT_EXIT(join_arena_of_version(kMagic, kLayoutVersion + 1), testing::ExitedWithCode(42),
              "memory layout 10.*forkful has 9");
}

TEST_F(LayoutDeathTest, memory_that_is_no_arena_is_refused) {
  EXPECT_EXIT(join_arena_of_version(0x123, kLayoutVersion), testing::ExitedWithCode(42),
              "memory layout 0");
}

TEST(Layout, members_and_their_states_fit_into_a_lock_word) {
  const MemberId last = MemberId::of(kMembers - 1, 0xffff);
  EXPECT_EQ(last.index(), kMembers - 1);
  EXPECT_EQ(last.generation(), 0xffffu);
  EXPECT_EQ(last.bits >> 31, 0u);
  EXPECT_NE(MemberId::of(1, 0), MemberId::of(1, 1));
  EXPECT_FALSE(MemberId{});
}

TEST(Layout, every_pid_has_a_name_of_its_own_to_join_under) {
  constexpr int kMostPids = 1 << 22;
  for (const int pid : {1, 2, 65535, 65536, 65537, 1 << 20, kMostPids - 1}) {
    const MemberId name = provisional_id(pid);
    EXPECT_GE(name.index(), kFirstProvisional);
    EXPECT_EQ(name.bits - provisional_id(0).bits, static_cast<std::uint32_t>(pid));
  }
}

}  // namespace
}  // namespace forkful::arena
