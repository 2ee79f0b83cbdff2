// Invitations of processes that the program starts by itself: who can take one up, what it has
// then, and what is left of one that nobody takes up.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/family.hpp>
#include <forkful/bytes/start.hpp>
#include <forkful/errors.hpp>

#include "arena/membership.hpp"
#include "support/child.hpp"

namespace forkful::test {
namespace {

using bytes::Cell;

int& number_in(const Cell& cell) { return *reinterpret_cast<int*>(cell.memory().data()); }

// The descriptors of a ticket as another process gets them: under other numbers.
std::vector<int> duplicates_of(const std::vector<int>& descriptors) {
  std::vector<int> copies;
  for (const int fd : descriptors) copies.push_back(::dup(fd));
  return copies;
}

int exit_code_of(int pid) {
  int status = -1;
  return ::waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A server: a child of this process, forked with all that this one holds; in_clone() runs in a
// clone of it, whose pid is the answer.
template <class InClone>
int cloned_by_server(InClone in_clone) {
  int ends[2];
  FORKFUL_MUST(::pipe(ends) == 0);
  const int server = ::fork();
  if (server == 0) {
    const Cell made_by_server = Cell::create(sizeof(int));
    number_in(made_by_server) = 40;
    const int pid = bytes::fork_sibling();
    if (pid == 0) ::_exit(in_clone(made_by_server));
    FORKFUL_MUST(::write(ends[1], &pid, sizeof pid) == sizeof pid);
    ::pause();  // it holds what the clone takes along
  }
  int pid = 0;
  FORKFUL_MUST(::read(ends[0], &pid, sizeof pid) == sizeof pid);
  ::close(ends[0]);
  ::close(ends[1]);
  const int code = exit_code_of(pid);
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  return code;
}

TEST(Invited, a_clone_of_a_member_takes_the_place_with_what_it_holds_and_what_it_was_given) {
  const Cell inherited = Cell::create(sizeof(int));
  number_in(inherited) = 1;
  const Cell given = Cell::create(sizeof(int));
  number_in(given) = 2;
  std::vector<bytes::Shared> shares{given};
  const bytes::Invited invited = bytes::invite({.daemonic = true, .name = "clone"}, shares);
  const Cell::Id id = given.id();
  const int code = cloned_by_server([&](const Cell& made_by_server) {
    bytes::accept(invited.ticket, duplicates_of(invited.descriptors));
    const bytes::MemberInfo me = bytes::this_member();
    if (me.name != "clone" || !me.daemonic || me.pid != ::getpid()) return 1;
    const auto parent = bytes::parent_member();
    if (!parent || parent->pid != ::getppid()) return 2;
    number_in(made_by_server) += number_in(inherited) + number_in(Cell::adopt(id));
    const Cell own = Cell::create(sizeof(int));
    number_in(own) = number_in(made_by_server);
    return number_in(own);
  });
  EXPECT_EQ(code, 43);
  EXPECT_EQ(arena::end_of({invited.member}), arena::End::died);
  bytes::process_ended(invited.member);
}

TEST(Invited, a_clone_that_holds_many_objects_has_a_share_in_each) {
  std::vector<Cell> many;
  for (int i = 0; i < 100; ++i) {
    many.push_back(Cell::create(sizeof(int)));
    number_in(many.back()) = i % 2;
  }
  const bytes::Invited invited = bytes::invite({}, {});
  const std::uint64_t before = bytes::heap_use().bytes_used;
  const int code = cloned_by_server([&](const Cell&) {
    bytes::accept(invited.ticket, duplicates_of(invited.descriptors));
    int sum = 0;
    for (Cell& each : many) {
      sum += number_in(each);
      each = Cell();
    }
    return sum;
  });
  EXPECT_EQ(code, 50);
  bytes::process_ended(invited.member);
  int sum = 0;
  for (const Cell& each : many) sum += number_in(each);
  EXPECT_EQ(sum, 50);
  EXPECT_LE(bytes::heap_use().bytes_used, before + (1u << 16));
}

TEST(Invited, an_invitation_is_for_one_process) {
  const bytes::Invited invited = bytes::invite({}, {});
  const auto accepts = [&](const Cell&) {
    try {
      bytes::accept(invited.ticket, duplicates_of(invited.descriptors));
    } catch (const Error&) {
      return 7;
    }
    return 0;
  };
  EXPECT_EQ(cloned_by_server(accepts), 0);
  EXPECT_EQ(cloned_by_server(accepts), 7);
  bytes::process_ended(invited.member);
}

TEST(Invited, a_place_that_was_withdrawn_is_nobodys) {
  const bytes::Invited invited = bytes::invite({}, {});
  EXPECT_TRUE(bytes::withdraw(invited.member).withdrawn);
  const int code = cloned_by_server([&](const Cell&) {
    try {
      bytes::accept(invited.ticket, duplicates_of(invited.descriptors));
    } catch (const Error&) {
      return 7;
    }
    return 0;
  });
  EXPECT_EQ(code, 7);
}

TEST(Invited, a_child_that_has_begun_is_not_withdrawn) {
  const bytes::Invited invited = bytes::invite({}, {});
  int ends[2];
  FORKFUL_MUST(::pipe(ends) == 0);
  const int code = cloned_by_server([&](const Cell&) {
    bytes::accept(invited.ticket, duplicates_of(invited.descriptors));
    return 0;
  });
  EXPECT_EQ(code, 0);
  const bytes::Withdrawn outcome = bytes::withdraw(invited.member);
  EXPECT_FALSE(outcome.withdrawn);
  EXPECT_GT(outcome.pid, 0);
  bytes::process_ended(invited.member);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Invited, a_ticket_that_is_none_is_refused) {
  EXPECT_THROW(bytes::accept("1,2,three"), Error);
  EXPECT_THROW(bytes::accept(""), Error);
  const bytes::Invited invited = bytes::invite({}, {});
  EXPECT_THROW(bytes::accept(invited.ticket, {}), Error);
  // Whoever is a member already is not invited.
  EXPECT_THROW(bytes::accept(invited.ticket, duplicates_of(invited.descriptors)), Error);
  EXPECT_TRUE(bytes::withdraw(invited.member).withdrawn);
}

TEST(Invited, what_is_to_be_read_wakes_a_wait) {
  int ends[2];
  FORKFUL_MUST(::pipe(ends) == 0);
  Wait forever;
  FORKFUL_MUST(::write(ends[1], "x", 1) == 1);
  EXPECT_TRUE(bytes::await_readable(ends[0], forever));
  ::close(ends[1]);
  EXPECT_TRUE(bytes::await_readable(ends[0], forever));
  ::close(ends[0]);
  EXPECT_GE(bytes::count_threads(), 1);
}

}  // namespace
}  // namespace forkful::test
