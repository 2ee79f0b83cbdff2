// Processes that have fewer rights or see less than the one that started the family: another user,
// another root directory, no /proc, a pid namespace.
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <forkful/errors.hpp>
#include <forkful/event.hpp>
#include <forkful/lock.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <functional>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "unit/process/actor.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Confined : public testing::TestWithParam<Context> {};
INSTANTIATE_TEST_SUITE_P(, Confined, testing::ValuesIn(kContexts), name_of);

bool can_unshare() {
  return fork_child([] { FORKFUL_MUST(::unshare(CLONE_NEWPID | CLONE_NEWNS) == 0); }).wait() == 0;
}

void drop_privileges() {
  constexpr unsigned kNobody = 65534;
  FORKFUL_MUST(::setgroups(0, nullptr) == 0);
  FORKFUL_MUST(::setgid(kNobody) == 0);
  FORKFUL_MUST(::setuid(kNobody) == 0);
}

// How a process ends that is started now, and a worker's answer.
std::string start_some(Context context) {
  Process child({.context = context},
                [user = ::getuid()] { std::exit(::getuid() == user ? 7 : 1); });
  child.join();
  Pool pool({.processes = 2, .context = context});
  return std::to_string(child.exit_code().value()) + " " +
         std::to_string(pool.apply([] { return 5; }));
}

int be_busy_after(Event& begun) {
  begun.set();
  be_busy();
}

void drop_and_start(int context) {
  drop_privileges();
  say(start_some(static_cast<Context>(context)));
}

const Cast g_dropping("drops its privileges", [](Context context) {
  Process(ProcessOptions{.context = context}, drop_and_start, static_cast<int>(context)).join();
  drop_privileges();
  say(start_some(context));
  return 0;
});

TEST_P(Confined, who_drops_its_privileges_starts_processes) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  Actor dropping("drops its privileges", GetParam());
  EXPECT_EQ(dropping.line(), "7 5");
  EXPECT_EQ(dropping.line(), "7 5");
  EXPECT_EQ(dropping.wait(), 0);
}

// Of a process that the program forks, a root of its own, and that nobody waits for.
const Cast g_dropped_root("drops its privileges and forks a root", [](Context context) {
  const Event begun;
  drop_privileges();
  const int root = ::fork();
  if (root == 0) {
    const Process plain({.context = context}, be_busy_after, begun);
    begun.wait();
    say(std::to_string(::getpid()));
    say(std::to_string(plain.pid()));
    wait_to_be_killed();
  }
  wait_to_be_killed();
  return 0;
});

TEST_P(Confined, plain_children_go_with_their_killed_root_after_privileges_are_dropped) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  Actor first("drops its privileges and forks a root", GetParam());
  const int root = std::stoi(first.line());
  const Watched plain = first.watched();
  EXPECT_TRUE(plain.runs());
  ::kill(root, SIGKILL);
  EXPECT_TRUE(plain.ends_within_seconds(2));
}

const Cast g_powerless("cannot signal what it started", [](Context context) {
  Pool pool({.processes = 1, .context = context});
  Event begun;
  say(std::to_string(pool.worker_pids().at(0)));
  auto unfinished = pool.apply_async(be_busy_after, begun);
  begun.wait();
  {
    const Process daemon({.daemon = true, .context = context}, be_busy);
    say(std::to_string(daemon.pid()));
    drop_privileges();
    pool.terminate();
  }
  say("done");
  return 0;
});

TEST_P(Confined, who_may_not_signal_its_daemons_and_workers_ends_all_the_same_and_they_with_it) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  // Signals do not reach a busy child of a process with threads, which the pool has, in time there.
  if (kThreadSanitizer && GetParam() == Context::fork) GTEST_SKIP() << "forks beside threads";
  Actor powerless("cannot signal what it started", GetParam());
  const Watched worker = powerless.watched();
  const Watched daemon = powerless.watched();
  EXPECT_EQ(powerless.line(), "done");
  EXPECT_EQ(powerless.wait(), 0);
  EXPECT_TRUE(worker.ends_within_seconds(2));
  EXPECT_TRUE(daemon.ends_within_seconds(2));
}

// The new root holds nothing, so nothing can be executed there. What runs already can be forked.
const Cast g_chrooted("changes its root", [](Context context) {
  Process(ProcessOptions{.context = context}, [] {}).join();
  std::array<char, 32> folder{"/tmp/forkful-root-XXXXXX"};
  FORKFUL_MUST(::mkdtemp(folder.data()) != nullptr);
  FORKFUL_MUST(::chroot(folder.data()) == 0 && ::chdir("/") == 0);
  try {
    say(start_some(context));
  } catch (const OsError& error) {
    say(error.error() == ENOENT ? "no such file" : error.what());
  }
  wait_to_be_killed();
  return 0;
});

TEST_P(Confined, who_changes_its_root_starts_processes_or_is_told_that_the_program_is_not_there) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change its root";
  if (kAddressSanitizer) GTEST_SKIP() << "a sanitizer needs /proc";
  Actor chrooted("changes its root", GetParam());
  EXPECT_EQ(chrooted.line(), GetParam() == Context::spawn ? "no such file" : "7 5");
}

const Cast g_without_proc("without proc", [](Context context) {
  FORKFUL_MUST(::unshare(CLONE_NEWNS) == 0);
  FORKFUL_MUST(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  FORKFUL_MUST(::mount("none", "/proc", "tmpfs", 0, nullptr) == 0);
  say(start_some(context));
  static auto* kept = new std::vector<Process*>;
  for (const bool daemon : {false, true}) {
    kept->push_back(new Process({.daemon = daemon, .context = context}, be_busy));
    say(std::to_string(kept->back()->pid()));
  }
  wait_to_be_killed();
  return 0;
});

TEST_P(Confined, processes_start_and_go_with_their_root_without_proc) {
  if (!can_unshare()) GTEST_SKIP() << "mount namespaces take privileges";
  if (kAddressSanitizer) GTEST_SKIP() << "a sanitizer needs /proc";
  Actor root("without proc", GetParam());
  EXPECT_EQ(root.line(), "7 5");
  const Watched plain = root.watched();
  const Watched daemon = root.watched();
  EXPECT_TRUE(plain.runs());
  EXPECT_TRUE(daemon.runs());
  root.kill();
  EXPECT_TRUE(plain.ends_within_seconds(1));
  EXPECT_TRUE(daemon.ends_within_seconds(1));
}

// Runs `body` in a member that is the first process of a pid namespace of its own.
Child in_pid_namespace(const std::function<void()>& body) {
  return fork_child([&] {
    FORKFUL_MUST(::unshare(CLONE_NEWPID | CLONE_NEWNS) == 0);
    Child first = fork_child(body);
    FORKFUL_MUST(first.wait_without_reaping() == 0);
  });
}

TEST(PidNamespace, a_member_in_one_of_its_own_is_known_to_be_dead) {
  if (!can_unshare()) GTEST_SKIP() << "pid namespaces take privileges";
  const Lock lock;
  const Event held;
  Child sandbox = fork_child([&] {
    FORKFUL_MUST(::unshare(CLONE_NEWPID) == 0);
    Child first = fork_child([&] {
      lock.lock();
      held.set();
      wait_to_be_killed();
    });
    held.wait();
    first.signal(SIGKILL);
    FORKFUL_MUST(first.wait_without_reaping() == -SIGKILL);
  });
  EXPECT_EQ(sandbox.wait(), 0);
  EXPECT_THROW((void)lock.try_lock_for(20s), LockOwnerDied);
}

TEST(PidNamespace, a_member_outside_is_not_taken_for_dead) {
  if (!can_unshare()) GTEST_SKIP() << "pid namespaces take privileges";
  const Lock lock(OnOwnerDeath::recover);
  lock.lock();
  Child sandbox = in_pid_namespace([&] {
    // Its own view of processes, in which the lock's owner is not.
    FORKFUL_MUST(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    FORKFUL_MUST(::mount("proc", "/proc", "proc", 0, nullptr) == 0);
    FORKFUL_MUST(!lock.try_lock_for(500ms));
  });
  EXPECT_EQ(sandbox.wait(), 0);
  EXPECT_TRUE(lock.is_locked());
  lock.unlock();
}

}  // namespace
}  // namespace forkful::test
