// Which members live, which do not, and how an end is told.
#include "arena/members.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <forkful/bytes/cell.hpp>
#include <forkful/event.hpp>
#include <thread>
#include <vector>

#include "arena/awake.hpp"
#include "arena/membership.hpp"
#include "kernel/fd.hpp"
#include "kernel/process_info.hpp"
#include "support/child.hpp"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

namespace forkful::arena {
namespace {

using Flag = std::atomic<int>;

class Members : public testing::Test {
 protected:
  Members() { join_family(); }
  ~Members() override { check_heap(); }
  Flag& ready_ = test::shared<Flag>();
  Flag& go_ = test::shared<Flag>();
};

TEST_F(Members, a_running_child_is_alive) {
  test::Child child = test::fork_child([&] { FORKFUL_AWAIT(go_ == 1); });
  ASSERT_TRUE(child.member());
  EXPECT_EQ(end_of(child.member()), End::alive);
  go_ = 1;
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Members, a_killed_zombie_is_dead) {
  test::Child child = test::fork_child([&] {
    ready_ = 1;
    for (;;) ::pause();
  });
  FORKFUL_AWAIT(ready_ == 1);
  child.signal(SIGKILL);
  child.await_zombie();
  FORKFUL_AWAIT(end_of(child.member()) == End::died);
  child.wait();
  EXPECT_EQ(end_of(child.member()), End::died);
}

TEST_F(Members, a_stopped_member_is_alive) {
  test::Child child = test::fork_child([&] {
    ready_ = 1;
    for (;;) ::pause();
  });
  FORKFUL_AWAIT(ready_ == 1);
  child.signal(SIGSTOP);
  child.await_stopped();
  EXPECT_EQ(end_of(child.member()), End::alive);
}

TEST_F(Members, an_exit_without_goodbye_is_a_death) {
  test::Child child = test::fork_child([] { ::_exit(0); });
  const MemberId member = child.member();
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(end_of(member), End::died);
}

TEST_F(Members, who_leaves_in_order_has_left_and_stays_so_when_reaped) {
  test::Child child = test::fork_child([] {});
  const MemberId member = child.member();
  EXPECT_EQ(child.wait_without_reaping(), 0);
  FORKFUL_AWAIT(end_of(member) == End::left);  // at once, unless somebody reads its /proc just now
  process_ended(member);
  EXPECT_EQ(end_of(member), End::left);
  process_ended(member);
  EXPECT_EQ(end_of(member), End::left);
}

TEST_F(Members, exit_is_an_orderly_end) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "exit handlers of the sanitizer";
  test::Child child = test::fork_child([] { std::exit(3); });
  const MemberId member = child.member();
  EXPECT_EQ(child.wait(), 3);
  EXPECT_EQ(end_of(member), End::left);
}

// What runs after a member has left (destructors of globals, other threads) may hold our mutexes.
TEST_F(Members, a_leaver_is_alive_until_its_process_has_ended) {
  test::Child child = test::fork_child([&] {
    leave_family();
    ready_ = 1;
    FORKFUL_AWAIT(go_ == 1);
  });
  FORKFUL_AWAIT(ready_ == 1);
  EXPECT_EQ(end_of(child.member()), End::alive);
  go_ = 1;
  const MemberId member = child.member();
  EXPECT_EQ(child.wait_without_reaping(), 0);
  FORKFUL_AWAIT(end_of(member) == End::left);  // at once, unless somebody reads its /proc just now
  process_ended(member);
}

TEST_F(Members, closing_every_descriptor_does_not_make_a_member_dead) {
  test::Child child = test::fork_child([&] {
    ::syscall(SYS_close_range, 3, ~0u, 0);
    ready_ = 1;
    FORKFUL_AWAIT(go_ == 1);
    const bytes::Cell cell = bytes::Cell::create(64);  // and it can go on
    FORKFUL_MUST(cell.memory().size() == 64);
  });
  FORKFUL_AWAIT(ready_ == 1);
  EXPECT_EQ(end_of(child.member()), End::alive);
  go_ = 1;
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Members, a_member_without_descriptors_can_fork_members) {
  test::Child child = test::fork_child([&] {
    ::syscall(SYS_close_range, 3, ~0u, 0);
    test::Child grandchild = test::fork_child([] {
      const bytes::Cell cell = bytes::Cell::create(64);
      FORKFUL_MUST(cell.memory().size() == 64);
    });
    FORKFUL_MUST(grandchild.member());
    FORKFUL_MUST(end_of(grandchild.member()) != End::died);
    FORKFUL_MUST(grandchild.wait() == 0);
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Members, who_has_closed_the_familys_descriptors_has_them_again_from_another_member) {
  test::Child child = test::fork_child([&] {
    ::syscall(SYS_close_range, 3, ~0u, 0);
    const Invitation invitation = invite({}, 1);
    FORKFUL_MUST(kernel::file_of(invitation.arena_fd) == arena_file());
    FORKFUL_MUST(invitation.liveness_fd == liveness_fd() && liveness_fd() >= 0);
    // And again, with a file of the program's at each number.
    const int arena_fd = invitation.arena_fd;
    const int mine = ::memfd_create("forkful-test", 0);
    for (const int fd : {arena_fd, invitation.liveness_fd}) (void)::dup2(mine, fd);
    const Invitation second = invite({}, 1);
    FORKFUL_MUST(kernel::file_of(second.arena_fd) == arena_file());
    FORKFUL_MUST(second.arena_fd != arena_fd);
    FORKFUL_MUST(kernel::file_of(arena_fd) == kernel::file_of(mine));
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Members, a_file_that_got_the_number_of_the_arenas_descriptor_is_spared) {
  test::Child child = test::fork_child([&] {
    ::syscall(SYS_close_range, 3, ~0u, 0);
    char name[] = "forkful-test-XXXXXX";
    const int first = ::mkstemp(name);
    ::unlink(name);
    std::vector<char> content(16 << 20, 'x');
    FORKFUL_MUST(::write(first, content.data(), content.size()) ==
                 static_cast<ssize_t>(content.size()));
    for (int i = 0; i < 16; ++i) (void)::dup(first);
    // Large runs that are freed have their pages taken away; a new window is mapped.
    std::vector<Offset> runs;
    for (int i = 0; i < 30; ++i) runs.push_back(allocate_run(8 << 20));
    for (const Offset run : runs) free_run(run);
    bool refused = false;
    try {
      at((kWindows - 1) * kWindowBytes)[0] = std::byte{1};  // never used, so not mapped yet
    } catch (const std::exception&) {
      refused = true;
    }
    FORKFUL_MUST(refused);
    std::vector<char> found(content.size());
    FORKFUL_MUST(::pread(first, found.data(), found.size(), 0) ==
                 static_cast<ssize_t>(found.size()));
    FORKFUL_MUST(found == content);
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Members, an_execed_member_is_dead_though_its_process_runs) {
  kernel::PipeEnds pipe = kernel::make_pipe();
  test::Child child = test::fork_child([&] {
    ::dup2(pipe.read.get(), 0);
    ::execlp("cat", "cat", nullptr);
  });
  FORKFUL_AWAIT(end_of(child.member()) == End::died);
  EXPECT_EQ(::kill(child.pid(), 0), 0);
  pipe.write.reset();
  EXPECT_EQ(child.wait(), 0);
}

// The pid of a killed member, as if the kernel had given it to a process that began later, and that
// maps the arena, too.
TEST_F(Members, a_dead_member_whose_pid_is_used_again_is_dead) {
  test::Child killed = test::fork_child([&] {
    ready_ = 1;
    for (;;) ::pause();
  });
  FORKFUL_AWAIT(ready_ == 1);
  killed.signal(SIGKILL);
  killed.wait_without_reaping();
  test::Child other = test::fork_child([&] { FORKFUL_AWAIT(go_ == 1); });
  // As a member that could not hold its lock through a mapping.
  member(killed.member()).lock_lasts.store(0);
  member(killed.member()).pid.store(other.pid());
  member(killed.member()).seen_at_ns.store(kernel::boottime_ns());
  EXPECT_EQ(end_of(killed.member()), End::alive);  // a start before the claim proves nothing
  member(killed.member()).seen_at_ns.store(1);     // long before `other` began
  EXPECT_EQ(end_of(killed.member()), End::died);
  go_ = 1;
  EXPECT_EQ(other.wait(), 0);
}

TEST_F(Members, an_entry_is_used_again_under_another_generation) {
  std::vector<MemberId> seen;
  for (int i = 0; i < 5; ++i) {
    test::Child child = test::fork_child([] {});
    seen.push_back(child.member());
    EXPECT_EQ(child.wait(), 0);
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(seen[i], seen[j]);
    EXPECT_EQ(end_of(seen[i]), End::left);
  }
}

// A lock that a leaver left locked must stay locked however many processes start meanwhile.
TEST_F(Members, an_end_is_remembered_while_entries_are_used_again) {
  test::Child leaver = test::fork_child([] {});
  EXPECT_EQ(leaver.wait(), 0);
  test::Child victim = test::fork_child([] { test::die(); });
  EXPECT_EQ(victim.wait(), -SIGKILL);
  const auto start_and_end = [] {
    const MemberId id = reserve_member(0, sync::self(), {});
    reap(id, id.bits % 3 == 0 ? End::left : End::died);
  };
  const std::uint32_t index = leaver.member().index();
  for (int rounds = 0; rounds < 20;) {
    const std::uint64_t before = arena::member(leaver.member()).state.load();
    start_and_end();
    rounds += arena::member(leaver.member()).state.load() != before ? 1 : 0;
  }
  EXPECT_NE(generation_in(arena::member(MemberId::of(index, 0)).state.load()),
            leaver.member().generation());
  EXPECT_EQ(end_of(leaver.member()), End::left);
  EXPECT_EQ(end_of(victim.member()), End::died);
}

TEST_F(Members, the_dead_are_swept_by_later_forks) {
  test::Child child = test::fork_child([] {
    (void)allocate_run(1 << 20);
    test::die();
  });
  const MemberId member = child.member();
  const std::uint64_t used = heap_use().used_bytes;
  EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
  FORKFUL_AWAIT([&] {
    test::Child other = test::fork_child([] {});
    other.wait();
    return state_in(arena::member(member).state.load()) == MemberState::free;
  }());
  EXPECT_LE(heap_use().used_bytes, used);
}

// As a program's own fork() does, which no call of ours reaps.
TEST_F(Members, the_dead_take_no_room_to_spin_once_somebody_sleeps) {
  for (std::uint32_t i = 0; i < header().cpus.load() + 2; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  }
  const Event never;
  FORKFUL_AWAIT(!never.wait_for(std::chrono::milliseconds(2)) &&
                (header().cpus.load() == 1 || room_to_spin()));
}

// How many the entries say sleep, which is what decides who may spin.
std::uint32_t asleep_by_entries() {
  std::uint32_t count = 0;
  for (std::uint32_t index = 1; index < header().first_entry_unused; ++index) {
    const Member& each = arena::member(MemberId::of(index, 0));
    const bool live = state_in(each.state.load()) == MemberState::live;
    count += live && each.asleep.load() != 0 ? 1 : 0;
  }
  return count;
}

TEST_F(Members, who_sleeps_is_known_while_others_begin_and_end) {
  const Event never;
  Flag& stop = test::shared<Flag>();
  const auto sleep_often = [&] {
    while (stop == 0) (void)never.wait_for(std::chrono::microseconds(200));
  };
  std::vector<test::Child> sleepers;
  for (int i = 0; i < 2; ++i) {
    sleepers.push_back(test::fork_child([&] {
      std::thread second(sleep_often);  // two threads of one member share its bit
      sleep_often();
      second.join();
    }));
  }
  for (int i = 0; i < 100; ++i) {
    test::Child child = test::fork_child([] {});
    EXPECT_EQ(child.wait(), 0);
  }
  stop = 1;
  for (test::Child& each : sleepers) EXPECT_EQ(each.wait(), 0);
  EXPECT_EQ(header().members_asleep.load(), asleep_by_entries());
  EXPECT_EQ(header().members_live.load(), 1u);
}

TEST_F(Members, who_is_killed_in_its_sleep_sleeps_no_more) {
  const std::uint32_t live = header().members_live.load();
  const Event never;
  test::Child child = test::fork_child([&] { never.wait(); });
  FORKFUL_AWAIT(header().members_asleep.load() == 1);
  EXPECT_EQ(header().members_live.load(), live + 1);
  EXPECT_EQ(child.kill(), -SIGKILL);
  EXPECT_EQ(header().members_asleep.load(), 0u);
  EXPECT_EQ(header().members_live.load(), live);
}

test::Child stopped_in_the_arenas_lock() {
  test::Child child = test::fork_child([] {
    test::stop_at("journal.staged", 1);
    free_run(allocate_run(kPageBytes));
  });
  child.await_stopped();
  return child;
}

// Whoever has waited for a process has had to wait long enough: the rest is put off.
TEST_F(Members, that_have_ended_are_given_back_without_a_wait_for_one_that_is_stopped) {
  const MemberId ended = reserve_member(0, sync::self(), {});
  test::Child child = stopped_in_the_arenas_lock();
  const std::uint64_t before = arena::member(ended).state.load();
  process_ended(ended);
  sweep_members(sync::self(), -1);
  EXPECT_EQ(arena::member(ended).state.load(), before);
  child.signal(SIGCONT);
  EXPECT_EQ(child.wait(), 0);
  process_ended(ended);
  EXPECT_NE(arena::member(ended).state.load(), before);
}

TEST_F(Members, whose_end_was_put_off_are_given_back_ahead_of_the_next_sleep) {
  for (int i = 0; i < 200; ++i) {  // so many entries that a sweep would not come by
    const MemberId passing = reserve_member(0, sync::self(), {});
    process_ended(passing);
  }
  const MemberId ended = reserve_member(0, sync::self(), {});
  test::Child child = stopped_in_the_arenas_lock();
  const std::uint64_t before = arena::member(ended).state.load();
  process_ended(ended);
  EXPECT_EQ(arena::member(ended).state.load(), before);
  child.signal(SIGCONT);
  const Event never;
  FORKFUL_AWAIT(!never.wait_for(std::chrono::milliseconds(2)) &&
                arena::member(ended).state.load() != before);
  EXPECT_EQ(child.wait(), 0);
}

// On a machine of many CPUs that a member may run only on some above the first 64.
TEST_F(Members, cpus_are_counted_wherever_they_are) {
  header().quota_cpus = 1024;
  Member& mine = arena::member(sync::self());
  for (std::uint32_t i = 0; i < kCpuWords; ++i) mine.cpus[i] = i == 9 ? 0b111 : 0;
  test::Child child = test::fork_child([&] {
    for (std::uint32_t i = 0; i < kCpuWords; ++i) {
      arena::member(sync::self()).cpus[i] = i == 15 ? 0b1 : 0;
    }
    ready_ = 1;
    FORKFUL_AWAIT(go_ == 1);
  });
  FORKFUL_AWAIT(ready_ == 1);
  reap(reserve_member(0, sync::self(), {}), End::left);  // the end of any member counts anew
  EXPECT_EQ(header().cpus.load(), 4u);
  go_ = 1;
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(header().cpus.load(), 3u);
  EXPECT_TRUE(room_to_spin());
  header().quota_cpus = kernel::cgroup_cpus();
  note_affinity(sync::self());
  EXPECT_EQ(header().cpus.load(), std::min(kernel::affinity_count(), kernel::cgroup_cpus()));
}

// Each start of a process looks at some entries.
void sweep_all() {
  for (std::uint32_t i = 0; i <= header().first_entry_unused; ++i) {
    test::fork_child([] {}).wait();
  }
}

// As a debugger or a slow file system has it.
TEST_F(Members, a_reservation_lasts_as_long_as_the_process_that_was_started_for_it) {
  constexpr std::int64_t kLongerThanAClaimTakes = 31'000'000'000;
  const MemberId slow = reserve_member(kPlain, sync::self(), {});
  note_started(slow, 1);  // a process that lives
  member(slow).seen_at_ns.fetch_sub(kLongerThanAClaimTakes);
  const MemberId gone = reserve_member(kPlain, sync::self(), {});
  test::Child ended = test::fork_child([] {});
  ended.wait();
  note_started(gone, ended.pid());
  member(gone).seen_at_ns.fetch_sub(kLongerThanAClaimTakes);
  sweep_all();
  EXPECT_EQ(state_in(member(slow).state.load()), MemberState::reserved);
  EXPECT_EQ(state_in(member(gone).state.load()), MemberState::free);
  EXPECT_TRUE(withdraw_member(slow));
}

// It has said how the victim ended, and nothing has been given back.
TEST_F(Members, what_a_killed_reaper_has_left_is_given_back_by_a_sweep) {
  const std::uint64_t used = heap_use().used_bytes;
  test::Child child = test::fork_child([] {
    (void)allocate_run(1 << 20);
    static const bytes::Cell cell = bytes::Cell::create(1 << 20);
    test::die();
  });
  const MemberId victim = child.member();
  EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
  test::Child reaper = test::fork_child([&] {
    test::die_at("members.reaping");
    process_ended(victim);
    test::must(false, "passed the fault point");
  });
  EXPECT_EQ(reaper.wait(), -SIGKILL);
  EXPECT_EQ(state_in(member(victim).state.load()), MemberState::died);
  EXPECT_GE(heap_use().used_bytes, used + (2 << 20));
  sweep_all();
  EXPECT_EQ(state_in(member(victim).state.load()), MemberState::free);
  EXPECT_LT(heap_use().used_bytes, used + (1 << 20));
}

// Nobody has ever begun in that entry, so there is no process to ask for.
TEST_F(Members, what_a_killed_withdrawer_has_left_is_given_back_by_a_sweep) {
  const MemberId reserved = reserve_member(0, sync::self(), sync::self());
  test::Child withdrawer = test::fork_child([&] {
    test::die_at("members.reaping");
    (void)withdraw_member(reserved);
    test::must(false, "passed the fault point");
  });
  EXPECT_EQ(withdrawer.wait(), -SIGKILL);
  EXPECT_EQ(state_in(member(reserved).state.load()), MemberState::died);
  sweep_all();
  EXPECT_EQ(state_in(member(reserved).state.load()), MemberState::free);
}

TEST_F(Members, a_reaper_killed_halfway_is_gone_on_for) {
  const bytes::Cell kept = bytes::Cell::create(100'000);
  const std::uint64_t used = heap_use().used_bytes;
  test::Child child = test::fork_child([] {
    (void)allocate_run(1 << 20);
    static std::vector<bytes::Cell> cells;
    for (int i = 0; i < 20; ++i) cells.push_back(bytes::Cell::create(50'000));
    test::die();
  });
  const MemberId victim = child.member();
  EXPECT_EQ(child.wait_without_reaping(), -SIGKILL);
  for (const int pass : {1, 2, 5, 9}) {
    test::Child reaper = test::fork_child([&] {
      test::die_at("journal.committed", pass);
      process_ended(victim);
      test::die();
    });
    EXPECT_EQ(reaper.wait(), -SIGKILL);
  }
  test::Child burier = test::fork_child([&] {
    test::die_at("objects.burying");
    process_ended(victim);
    bury_the_dying();
    test::die();
  });
  EXPECT_EQ(burier.wait(), -SIGKILL);
  process_ended(victim);
  bury_the_dying();
  EXPECT_LE(heap_use().used_bytes, used + (16 << 10)) << "at most a run of small blocks more";
  EXPECT_EQ(state_in(arena::member(victim).state.load()), MemberState::free);
}

}  // namespace
}  // namespace forkful::arena
