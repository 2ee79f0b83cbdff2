// The orphan rule: which processes end when another one does.

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <forkful/event.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <vector>

#include "arena/members.hpp"
#include "kernel/fault.hpp"
#include "kernel/process_info.hpp"
#include "support/child.hpp"
#include "sync/liveness.hpp"
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

void tell_and_be_busy(Event begun) {
  begun.set();
  be_busy();
}

// Its own entry says that it is only about to begin, which is no death.
const Cast g_damaged_root("damaged root", [](Context context) {
  // One that has not begun by then would take its parent, too, for one that is about to.
  Event begun;
  say(std::to_string(
      start(ProcessOptions{.daemon = true, .context = context}, tell_and_be_busy, begun).pid()));
  begun.wait();
  auto& pool = *new Pool({.processes = 1, .context = context});
  for (const int pid : pool.worker_pids()) say(std::to_string(pid));
  pool.apply([] {});
  auto& state = arena::member(sync::self()).state;
  state.store((state.load() & ~std::uint64_t{0xff}) |
              static_cast<std::uint64_t>(arena::MemberState::reserved));
  say("damaged");
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, daemons_and_workers_go_with_a_parent_whose_entry_is_damaged) {
  if (GetParam() == Context::forkserver) GTEST_SKIP() << "the kernel knows of another parent";
  Actor root("damaged root", GetParam());
  const Watched daemon = root.watched();
  const Watched worker = root.watched();
  ASSERT_EQ(root.line(), "damaged");
  EXPECT_TRUE(worker.runs());
  root.kill();
  EXPECT_TRUE(daemon.ends_within_seconds(2));
  EXPECT_TRUE(worker.ends_within_seconds(2));
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

// Ends in a way of its own, with a daemon and a plain child.
template <void (*End)()>
int start_and_end(Context context) {
  Event ready;
  start(ProcessOptions{.context = context}, outlive_parent, ready);
  ready.wait();
  say(std::to_string(start(ProcessOptions{.daemon = true, .context = context}, be_busy).pid()));
  End();
  return 0;
}
const Cast g_abrupt_root("ends by _exit", start_and_end<[] { ::_exit(3); }>);
const Cast g_quick_root("ends by quick_exit", start_and_end<[] { std::quick_exit(0); }>);
const Cast g_executing_root("ends by execution",
                            start_and_end<[] { ::execlp("sleep", "sleep", "60", nullptr); }>);

void expect_plain_children_to_outlive(Actor& root) {
  const int plain = std::stoi(root.line());
  const Watched daemon = root.watched();
  EXPECT_TRUE(daemon.ends_within_seconds(2));
  // Not waited for until then: an older kernel tells how a process ended only while it is a zombie.
  const Watched child(plain);
  EXPECT_FALSE(child.ends_within_seconds(1)) << "it may be told only after a while";
  ::kill(plain, SIGKILL);
}

TEST_P(Orphans, plain_children_outlive_a_root_that_ends_by__exit) {
  Actor root("ends by _exit", GetParam());
  expect_plain_children_to_outlive(root);
  EXPECT_EQ(root.wait(), 3);
}

TEST_P(Orphans, plain_children_outlive_a_root_that_ends_by_quick_exit) {
  Actor root("ends by quick_exit", GetParam());
  expect_plain_children_to_outlive(root);
  EXPECT_EQ(root.wait(), 0);
}

TEST_P(Orphans, plain_children_outlive_a_root_that_executes_another_program) {
  Actor root("ends by execution", GetParam());
  expect_plain_children_to_outlive(root);
}

// Blocks all signals, and starts a process. The root ends in the midst of that, and is waited for,
// so that only its pidfd tells how it ended.
void start_while_the_root_ends(Event& to_root, int context) {
  static Event* tell = &to_root;
  static const int root = ::getppid();
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const auto await_root = [](void*) {
    tell->set();
    while (::kill(root, 0) == 0) ::sched_yield();
  };
  kernel::arm_fault("lifelines.looked", await_root, nullptr);
  {
    const Process child({.context = static_cast<Context>(context)}, [] {});
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  say("alive");
  wait_to_be_killed();
}
const Cast g_root_of_a_starter("root of a starter", [](Context context) -> int {
  Event told;
  const Process& starter = start(ProcessOptions{.context = context}, start_while_the_root_ends,
                                 told, static_cast<int>(context));
  say(std::to_string(starter.pid()));
  told.wait();
  ::_exit(3);
});

TEST_P(Orphans, plain_children_outlive_a_root_that_exits_while_they_start_one) {
  Actor root("root of a starter", GetParam());
  const kernel::Fd pidfd = kernel::open_pidfd(root.pid());
  const int plain = std::stoi(root.line());
  EXPECT_EQ(root.wait(), 3);
  if (kernel::exit_code_of(pidfd.get())) {
    EXPECT_EQ(root.line(), "alive");
  }
  ::kill(plain, SIGKILL);
  if (!kernel::exit_code_of(pidfd.get())) GTEST_SKIP() << "the kernel is older than 6.15";
}

TEST_P(Orphans, a_starter_that_dies_before_its_start_leaves_nothing_behind) {
  const ProcessOptions options{.context = GetParam()};
  Child starter = fork_child([&] {
    die_at("lifelines.looked");
    const Process never(options, [] {});
  });
  EXPECT_EQ(starter.wait(), -SIGKILL);
  Process next(options, [] {});
  next.join();
  EXPECT_EQ(next.exit_code(), 0);
}

// The classical double fork: what starts processes then is a fork of the program's own.
const Cast g_daemonising("daemonising", [](Context context) {
  Process({.context = context}, [] {}).join();  // forkful has been used before
  const int first = ::getpid();
  if (::fork() != 0) ::_exit(0);
  ::setsid();
  if (::fork() != 0) ::_exit(0);
  await_end(first);
  Process plain({.context = context}, [] {});
  plain.join();
  say("plain " + std::to_string(plain.exit_code().value()));
  Pool pool({.processes = 2, .context = context});
  say("pool " + std::to_string(pool.apply([] { return 7; })));
  say(std::to_string(start(ProcessOptions{.context = context}, be_busy).pid()));
  say(std::to_string(::getpid()));
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, a_daemon_is_the_root_of_what_it_starts) {
  Actor first("daemonising", GetParam());
  EXPECT_EQ(first.line(), "plain 0");
  EXPECT_EQ(first.line(), "pool 7");
  const Watched plain = first.watched();
  const int daemon = std::stoi(first.line());
  EXPECT_EQ(first.wait(), 0);
  EXPECT_TRUE(plain.runs());
  ::kill(daemon, SIGKILL);
  EXPECT_TRUE(plain.ends_within_seconds(2));
}

// What a library for daemons does to descriptors it does not know.
void close_all_descriptors() {
  for (int fd = 3; fd < 4096; ++fd) ::close(fd);
}

const Cast g_closing_root("closing root", [](Context context) {
  say(std::to_string(start(ProcessOptions{.context = context}, be_busy).pid()));
  say(std::to_string(start(ProcessOptions{.daemon = true, .context = context}, be_busy).pid()));
  close_all_descriptors();
  say("closed");
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, closing_every_descriptor_ends_no_child_and_hides_no_death) {
  Actor root("closing root", GetParam());
  const Watched plain = root.watched();
  const Watched daemon = root.watched();
  EXPECT_EQ(root.line(), "closed");
  EXPECT_FALSE(plain.ends_within_seconds(1));
  EXPECT_TRUE(daemon.runs());
  root.kill();
  EXPECT_TRUE(plain.ends_within_seconds(1));
  EXPECT_TRUE(daemon.ends_within_seconds(1));
}

void close_all_and_be_busy(Event& closed) {
  close_all_descriptors();
  closed.set();
  be_busy();
}

const Cast g_root_of_closers("root of closers", [](Context context) {
  Event plain_closed, daemon_closed;
  say(std::to_string(
      start(ProcessOptions{.context = context}, close_all_and_be_busy, plain_closed).pid()));
  say(std::to_string(start(ProcessOptions{.daemon = true, .context = context},
                           close_all_and_be_busy, daemon_closed)
                         .pid()));
  plain_closed.wait();
  daemon_closed.wait();
  say("closed");
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, children_without_descriptors_go_with_their_root) {
  Actor root("root of closers", GetParam());
  const Watched plain = root.watched();
  const Watched daemon = root.watched();
  EXPECT_EQ(root.line(), "closed");
  root.kill();
  EXPECT_TRUE(plain.ends_within_seconds(1));
  EXPECT_TRUE(daemon.ends_within_seconds(1));
}

void be_busy_and_say_so(Event& busy) {
  busy.set();
  be_busy();
}

const Cast g_root_of_the_stopped("root of the stopped", [](Context context) {
  for (const bool daemon : {false, true}) {
    Event busy;
    const auto& child =
        start(ProcessOptions{.daemon = daemon, .context = context}, be_busy_and_say_so, busy);
    busy.wait();
    say(std::to_string(child.pid()));
  }
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, stopped_children_go_with_their_root) {
  Actor root("root of the stopped", GetParam());
  std::vector<Watched> children;
  for (int i = 0; i < 2; ++i) {
    const int pid = std::stoi(root.line());
    children.emplace_back(pid);
    ::kill(pid, SIGSTOP);
  }
  root.kill();
  for (const Watched& each : children) EXPECT_TRUE(each.ends_within_seconds(1));
}

// Blocks what the orphan rule's signal could be, and waits for something of forkful's.
void wait_deaf(Event& ready) {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  ready.set();
  Event().wait();
}

const Cast g_root_of_the_deaf("root of the deaf", [](Context context) {
  Event ready;
  say(std::to_string(start(ProcessOptions{.context = context}, wait_deaf, ready).pid()));
  ready.wait();
  say("deaf");
  wait_to_be_killed();
  return 0;
});

TEST_P(Orphans, a_wait_with_all_signals_blocked_notices_that_the_root_is_gone) {
  Actor root("root of the deaf", GetParam());
  const Watched plain = root.watched();
  EXPECT_EQ(root.line(), "deaf");
  root.kill();
  EXPECT_TRUE(plain.ends_within_seconds(3));
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
