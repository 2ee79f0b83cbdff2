// The calls for programs that fork by other means than Process.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <forkful/bytes/family.hpp>
#include <forkful/bytes/lock.hpp>
#include <forkful/errors.hpp>
#include <forkful/process.hpp>

#include "arena/at_fork.hpp"
#include "arena/member_name.hpp"
#include "arena/membership.hpp"
#include "kernel/child.hpp"
#include "support/child.hpp"

namespace forkful::test {
namespace {

struct Forked {
  int pid;
  std::uint32_t member;
};

template <class Body>
Forked fork_planned(bytes::ForkPlan plan, Body body) {
  bytes::before_start(plan);
  const int pid = ::fork();
  if (pid == 0) {
    bytes::after_start_in_child();
    body();
    bytes::leave_family();
    ::_exit(0);
  }
  return {pid, bytes::started()};
}

TEST(Family, a_planned_fork_is_known_by_its_member_bits) {
  const auto child = fork_planned({.daemonic = true}, [] {});
  ASSERT_NE(child.member, 0u);
  EXPECT_EQ(arena::member({child.member}).flags.load(), std::uint32_t{arena::kDaemonic});
  ::waitpid(child.pid, nullptr, 0);
  bytes::process_ended(child.member);
  EXPECT_EQ(arena::end_of({child.member}), arena::End::left);
}

TEST(Family, a_planned_fork_has_its_name_before_it_begins_cut_within_no_character) {
  const std::string name = std::string(30, 'x') + "ü and more";
  const auto child = fork_planned({.daemonic = true, .name = name}, [] {});
  EXPECT_EQ(arena::name_of(arena::member({child.member})), std::string(30, 'x'));
  ::waitpid(child.pid, nullptr, 0);
  bytes::process_ended(child.member);
  const auto odd = fork_planned({.daemonic = true, .name = std::string(40, '\x80')}, [] {});
  EXPECT_EQ(arena::name_of(arena::member({odd.member})), std::string(28, '\x80'));
  ::waitpid(odd.pid, nullptr, 0);
  bytes::process_ended(odd.member);
  const auto next = fork_planned({.daemonic = true}, [] {});
  EXPECT_EQ(arena::name_of(arena::member({next.member})), "") << "the name was of one fork";
  ::waitpid(next.pid, nullptr, 0);
  bytes::process_ended(next.member);
}

TEST(Family, a_plan_is_for_one_fork_only) {
  const auto child = fork_planned({.daemonic = true}, [] {});
  ::waitpid(child.pid, nullptr, 0);
  const int pid = ::fork();
  if (pid == 0) ::_exit(arena::member(sync::self()).flags.load() == 0 ? 0 : 1);
  int status = -1;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Family, a_plan_ends_with_a_fork_that_the_kernel_refuses) {
  Child child = fork_child([] {
    if (::geteuid() == 0) FORKFUL_MUST(::setuid(65534) == 0);  // the limit is none to root
    rlimit before{};
    ::getrlimit(RLIMIT_NPROC, &before);
    const auto must_be_refused = [&](auto start) {
      const rlimit none{0, before.rlim_max};
      ::setrlimit(RLIMIT_NPROC, &none);
      int error = 0;
      try {
        start();
      } catch (const OsError& refused) {
        error = refused.error();
      }
      FORKFUL_MUST(error == EAGAIN);
      ::setrlimit(RLIMIT_NPROC, &before);
      const int pid = ::fork();
      if (pid == 0) ::_exit(arena::member(sync::self()).flags.load() == 0 ? 0 : 1);
      int status = -1;
      ::waitpid(pid, &status, 0);
      FORKFUL_MUST(status == 0);
    };
    must_be_refused([] {
      Wait wait;
      bytes::before_start({.daemonic = true});
      (void)bytes::fork_process([] {}, [](int) {}, wait);
    });
    must_be_refused([] { Process({.daemon = true, .context = Context::fork}, [] {}).join(); });
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST(Family, a_child_that_does_not_leave_in_order_has_died) {
  const auto lock = bytes::RawLock::create();
  const auto child = fork_planned({}, [&] {
    if (lock.try_acquire()) ::_exit(0);
  });
  ::waitpid(child.pid, nullptr, 0);
  bytes::process_ended(child.member);
  Wait wait;
  EXPECT_EQ(lock.acquire(wait), bytes::Acquired::owner_died);
}

TEST(Family, says_what_it_uses) {
  bytes::join_family();
  const auto use = bytes::heap_use();
  EXPECT_GE(use.members, 1u);
  EXPECT_GE(use.bytes_mapped, use.bytes_used);
  EXPECT_GE(bytes::default_cpu_count(), 1u);
}

TEST(Exit, of_a_child_that_somebody_else_reaped_is_unknown) {
  const int pid = kernel::fork_process();
  if (pid == 0) ::_exit(3);
  ::waitpid(pid, nullptr, 0);
  const auto exit = kernel::reap_child(pid);
  ASSERT_TRUE(exit.has_value());
  EXPECT_FALSE(exit->known);
}

}  // namespace
}  // namespace forkful::test
