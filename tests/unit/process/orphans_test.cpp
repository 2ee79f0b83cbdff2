// Who goes when whom dies.

#include <unistd.h>

#include <forkful/event.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <vector>

#include "unit/process/actor.hpp"

namespace forkful::test {
namespace {

class Orphans : public testing::TestWithParam<Context> {};
INSTANTIATE_TEST_SUITE_P(, Orphans, testing::ValuesIn(kContexts), name_of);

// Processes that are not waited for, as those of a program that is killed are not.
template <class... A>
Process& start(const A&... arguments) {
  static auto* kept = new std::vector<Process*>;
  return *kept->emplace_back(new Process(arguments...));
}

// Says who it is, and that it lives once its parent does not.
void outlive_parent(Event& ready) {
  const int parent = ::getppid();
  say(std::to_string(::getpid()));
  ready.set();
  await_end(parent);
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
  start(ProcessOptions{.context = how}, outlive_parent, Event());
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
  Event ready;
  start(ProcessOptions{.context = context}, outlive_parent, ready);
  ready.wait();
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

const Cast g_abrupt_root("abrupt root", [](Context context) -> int {
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
  say(std::to_string(start(ProcessOptions{.daemon = true, .context = context}, be_busy).pid()));
  Event ready;
  if (::fork() == 0) outlive_parent(ready);
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, a_fork_of_the_users_own_is_under_no_control_and_does_not_hide_its_parents_death) {
  Actor root("forking root", GetParam());
  const Watched daemon = root.watched();
  const int forked = std::stoi(root.line());
  root.kill();
  EXPECT_TRUE(daemon.ends_within_seconds(1));
  EXPECT_EQ(root.line(), "alive");
  ::kill(forked, SIGKILL);
}

}  // namespace
}  // namespace forkful::test
