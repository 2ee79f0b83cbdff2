// Who goes when whom dies.

#include <unistd.h>

#include <vector>

#include <forkful/pool.hpp>
#include <forkful/process.hpp>

#include "unit/process/actor.hpp"

namespace forkful::test {
namespace {

class Orphans : public testing::TestWithParam<Context> {};
INSTANTIATE_TEST_SUITE_P(, Orphans, testing::Values(Context::spawn, Context::fork), name_of);

// Processes that are not waited for, as those of a program that is killed are not.
template <class... A>
Process& start(const A&... arguments) {
  return *new Process(arguments...);
}

// Says that it lives once its parent does not.
void outlive_parent() {
  await_end(::getppid());
  say("alive");
  wait_to_be_killed();
}

const Cast g_whole_family("whole family", [](Context context) {
  say(std::to_string(start(ProcessOptions{.context = context}, be_busy).pid()));
  say(std::to_string(start(ProcessOptions{.daemon = true, .context = context}, be_busy).pid()));
  auto& pool = *new Pool({.processes = 2, .context = context});
  for (const int pid : pool.worker_pids()) say(std::to_string(pid));
  pool.apply([] {});
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, everyone_goes_when_the_root_is_killed) {
  Actor root("whole family", GetParam());
  std::vector<Watched> family;
  for (int i = 0; i < 4; ++i) family.push_back(root.watched());
  for (const Watched& each : family) EXPECT_TRUE(each.runs());
  root.kill();
  for (const Watched& each : family) EXPECT_TRUE(each.ends_within_seconds(1));
}

// A middle member, its daemon and its plain child.
void be_the_middle(int context) {
  const auto how = static_cast<Context>(context);
  say(std::to_string(::getpid()));
  say(std::to_string(start(ProcessOptions{.daemon = true, .context = how}, be_busy).pid()));
  say(std::to_string(start(ProcessOptions{.context = how}, outlive_parent).pid()));
  wait_to_be_killed();
}

const Cast g_three_generations("three generations", [](Context context) {
  start(ProcessOptions{.context = context}, be_the_middle, static_cast<int>(context));
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, daemons_go_with_their_parent_and_plain_children_with_the_root) {
  Actor root("three generations", GetParam());
  const int middle = std::stoi(root.line());
  const Watched daemon = root.watched();
  const Watched plain = root.watched();
  ::kill(middle, SIGKILL);
  EXPECT_TRUE(daemon.ends_within_seconds(1));
  EXPECT_EQ(root.line(), "alive");
  EXPECT_TRUE(plain.runs());
  root.kill();
  EXPECT_TRUE(plain.ends_within_seconds(1));
}

const Cast g_orderly_root("orderly root", [](Context context) {
  say(std::to_string(start(ProcessOptions{.context = context}, outlive_parent).pid()));
  say(std::to_string(start(ProcessOptions{.daemon = true, .context = context}, be_busy).pid()));
  return 0;
});

TEST_P(Orphans, plain_children_outlive_a_root_that_leaves_in_order) {
  Actor root("orderly root", GetParam());
  const int plain = std::stoi(root.line());
  const Watched daemon = root.watched();
  EXPECT_EQ(root.wait(), 0);
  EXPECT_TRUE(daemon.ends_within_seconds(1));
  EXPECT_EQ(root.line(), "alive");
  ::kill(plain, SIGKILL);
}

const Cast g_abrupt_root("abrupt root", [](Context context) {
  say(std::to_string(start(ProcessOptions{.context = context}, be_busy).pid()));
  ::_exit(0);
});

TEST_P(Orphans, a_root_that_ends_by__exit_takes_its_family_along) {
  Actor root("abrupt root", GetParam());
  const Watched plain = root.watched();
  EXPECT_EQ(root.wait(), 0);
  EXPECT_TRUE(plain.ends_within_seconds(1));
}

const Cast g_forking_root("forking root", [](Context context) {
  start(ProcessOptions{.daemon = true, .context = context}, be_busy);
  if (::fork() == 0) outlive_parent();
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, a_fork_of_the_users_own_is_under_no_control) {
  Actor root("forking root", GetParam());
  root.kill();
  EXPECT_EQ(root.line(), "alive");
}

const Cast g_root_with_a_user_fork("holder of inherited ends", [](Context context) {
  say(std::to_string(start(ProcessOptions{.daemon = true, .context = context}, be_busy).pid()));
  if (const int pid = ::fork(); pid != 0) {
    say(std::to_string(pid));
    wait_to_be_killed();
  }
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, a_fork_of_the_users_own_does_not_hide_its_parents_death) {
  Actor root("holder of inherited ends", GetParam());
  const Watched daemon = root.watched();
  const int forked = std::stoi(root.line());
  root.kill();
  EXPECT_TRUE(daemon.ends_within_seconds(1));
  ::kill(forked, SIGKILL);
}

}  // namespace
}  // namespace forkful::test
