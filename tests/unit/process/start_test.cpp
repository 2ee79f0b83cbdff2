// Starting processes and how they end.

#include "process/start.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <forkful/bytes/carried.hpp>
#include <forkful/errors.hpp>
#include <forkful/event.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "process/marker.hpp"
#include "support/child.hpp"
#include "unit/process/actor.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

// Static initialisers run before main, and so before init().
const std::string g_refused_before_init = [] {
  try {
    Process early([] {});
  } catch (const NotInitialized& error) {
    return std::string(error.what());
  }
  return std::string();
}();

TEST(Init, is_needed_before_a_start_by_execution_as_the_error_says) {
  for (const char* part : {"forkful::init(argc, argv) has not been called", "call it first in main",
                           "forkful::auto_main", "make a global Pool or Process in main after it",
                           ".context = Context::fork"}) {
    EXPECT_NE(g_refused_before_init.find(part), std::string::npos) << part;
  }
}

// A process of that environment waits here, before init(), for a byte from that descriptor.
constexpr const char* kGate = "FORKFUL_TEST_GATE";
const bool g_passed_the_gate = [] {
  const char* gate = ::getenv(kGate);
  if (gate == nullptr) return false;
  char byte = 0;
  const bool passed = ::read(std::stoi(gate), &byte, 1) == 1;
  ::unsetenv(kGate);
  return passed;
}();

class Start : public testing::TestWithParam<Context> {
 protected:
  [[nodiscard]] ProcessOptions options() const { return {.context = GetParam()}; }
};
INSTANTIATE_TEST_SUITE_P(, Start, testing::ValuesIn(kContexts), name_of);

TEST_P(Start, a_process_that_returns_has_exit_code_0) {
  Process child(options(), [] {});
  child.join();
  EXPECT_FALSE(child.is_alive());
  EXPECT_EQ(child.exit_code(), 0);
}

TEST_P(Start, exit_code_is_what_the_child_exits_with) {
  Process child(options(), [](int code) { ::exit(code); }, 7);
  child.join();
  EXPECT_EQ(child.exit_code(), 7);
}

TEST_P(Start, an_exception_makes_exit_code_1) {
  Process child(options(), [] { throw std::runtime_error("as planned"); });
  child.join();
  EXPECT_EQ(child.exit_code(), 1);
}

TEST_P(Start, something_thrown_that_is_no_exception_makes_exit_code_1) {
  Process child(options(), [] { throw 42; });
  child.join();
  EXPECT_EQ(child.exit_code(), 1);
}

TEST_P(Start, terminate_ends_with_sigterm_and_kill_with_sigkill) {
  Process asked(options(), wait_to_be_killed);
  EXPECT_TRUE(asked.is_alive());
  EXPECT_EQ(asked.exit_code(), std::nullopt);
  asked.terminate();
  asked.join();
  EXPECT_EQ(asked.exit_code(), -SIGTERM);
  Process killed(options(), wait_to_be_killed);
  killed.kill();
  killed.join();
  EXPECT_EQ(killed.exit_code(), -SIGKILL);
  killed.kill();  // a no-op now
}

TEST_P(Start, join_for_gives_up_in_time) {
  Process child(options(), wait_to_be_killed);
  EXPECT_FALSE(child.join_for(1ms));
  child.kill();
  EXPECT_TRUE(child.join_for(10s));
}

TEST_P(Start, join_until_and_join_with_a_stop_give_up_as_asked) {
  Process child(options(), wait_to_be_killed);
  EXPECT_FALSE(child.join_until(std::chrono::steady_clock::now() + 1ms));
  EXPECT_FALSE(child.join_until(std::chrono::system_clock::now() + 1ms));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(child.join(stop.get_token()));
  child.kill();
  EXPECT_TRUE(child.join_until(std::chrono::system_clock::now() + 10s));
  EXPECT_TRUE(child.join(std::stop_token()));
}

TEST_P(Start, a_process_says_whether_it_is_a_daemon) {
  ProcessOptions daemon = options();
  EXPECT_FALSE(Process(daemon, [] {}).daemon());
  daemon.daemon = true;
  EXPECT_TRUE(Process(daemon, [] {}).daemon());
}

TEST_P(Start, the_destructor_waits) {
  Queue<int> queue;
  {
    const Process child(options(), [](Queue<int>& to) { to.put(1); }, queue);
  }
  EXPECT_EQ(queue.try_get(), 1);
}

TEST_P(Start, a_daemon_is_terminated_by_the_destructor) {
  ProcessOptions daemon = options();
  daemon.daemon = true;
  int pid = 0;
  {
    const Process child(daemon, wait_to_be_killed);
    pid = child.pid();
  }
  EXPECT_FALSE(Watched(pid).runs());
}

TEST_P(Start, the_destructor_ends_a_daemon_that_is_stopped_or_takes_no_signal) {
  ProcessOptions daemon = options();
  daemon.daemon = true;
  Event ready;
  std::vector<int> pids;
  {
    Process deaf(
        daemon,
        [](Event& is_deaf) {
          sigset_t all;
          sigfillset(&all);
          ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
          is_deaf.set();
          wait_to_be_killed();
        },
        ready);
    const Process stopped(daemon, wait_to_be_killed);
    ready.wait();
    ::kill(stopped.pid(), SIGSTOP);
    pids = {deaf.pid(), stopped.pid()};
  }
  for (const int pid : pids) EXPECT_FALSE(Watched(pid).runs());
}

TEST_P(Start, terminate_ends_a_stopped_child) {
  Process child(options(), wait_to_be_killed);
  ::kill(child.pid(), SIGSTOP);
  child.terminate();
  child.join();
  EXPECT_EQ(child.exit_code(), -SIGTERM);
}

// Plays a program whose children are waited for by somebody else.
int start_and_ask(Context context) {
  bool right = true;
  for (int i = 0; i < 5; ++i) {
    Process child(ProcessOptions{.context = context}, [] { std::exit(7); });
    child.join();
    right = right && child.exit_code() == 7;
    Process killed(ProcessOptions{.context = context}, wait_to_be_killed);
    killed.kill();
    killed.join();
    right = right && (killed.exit_code() == -SIGKILL ||
                      killed.exit_code() == bytes::RawProcess::kUnknownExit);
  }
  say(right ? "right" : "wrong");
  return 0;
}
const Cast g_ignoring("ignoring SIGCHLD", [](Context context) {
  ::signal(SIGCHLD, SIG_IGN);
  return start_and_ask(context);
});
const Cast g_reaping("reaping", [](Context context) {
  ::signal(SIGCHLD, [](int) {
    const int error = errno;
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    errno = error;
  });
  return start_and_ask(context);
});

TEST_P(Start, an_exit_code_is_known_though_somebody_else_waited_for_the_child) {
  EXPECT_EQ(Actor("ignoring SIGCHLD", GetParam()).line(), "right");
  EXPECT_EQ(Actor("reaping", GetParam()).line(), "right");
}

TEST_P(Start, a_child_is_joined_though_its_descriptor_was_closed) {
  Event go;
  Process child(options(), [](Event& wait_for) { wait_for.wait(); }, go);
  for (int fd = 3; fd < 1024; ++fd) {
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    char target[64] = {};
    if (::readlink(link.c_str(), target, sizeof target - 1) > 0 &&
        std::string(target).find("pidfd") != std::string::npos) {
      ::close(fd);
    }
  }
  EXPECT_FALSE(child.join_for(std::chrono::milliseconds(1)));
  go.set();
  child.join();
  EXPECT_EQ(child.exit_code(), 0);
}

void record(Queue<std::string>& to, const std::string& text, std::vector<int> numbers) {
  to.put(text + std::to_string(numbers.at(1)));
}

TEST_P(Start, arguments_travel_as_values) {
  Queue<std::string> queue;
  Process(options(), record, queue, "x", std::vector{1, 2}).join();
  EXPECT_EQ(queue.get(), "x2");
}

TEST_P(Start, a_large_argument_arrives_whole) {
  Queue<std::size_t> queue;
  const std::string large(3 << 20, 'y');
  Process(
      options(), [](const std::string& text, Queue<std::size_t>& to) { to.put(text.size()); },
      large, queue)
      .join();
  EXPECT_EQ(queue.get(), large.size());
}

TEST_P(Start, children_start_children) {
  Queue<int> queue;
  Process(
      options(),
      [](Queue<int>& to, int context) {
        Process(
            {.context = static_cast<Context>(context)}, [](Queue<int>& down) { down.put(3); }, to)
            .join();
      },
      queue, static_cast<int>(GetParam()))
      .join();
  EXPECT_EQ(queue.get(), 3);
}

TEST_P(Start, a_callable_that_takes_a_stop_token_is_asked_to_stop_by_the_destructor) {
  Queue<std::string> queue;
  {
    const Process child(
        options(),
        [](std::stop_token stop, Queue<std::string>& to) {
          to.put("ready");
          const Queue<int> never;
          EXPECT_EQ(never.get(stop), std::nullopt);
          to.put("stopped");
        },
        queue);
    EXPECT_EQ(queue.get(), "ready");
  }
  EXPECT_EQ(queue.try_get(), "stopped");
}

TEST_P(Start, a_callable_with_a_stop_token_may_end_by_itself) {
  Process(options(), [](std::stop_token, int) {}, 1).join();
}

TEST_P(Start, an_inherited_process_is_inert_in_a_forked_child) {
  Process child(options(), wait_to_be_killed);
  const int pid = ::fork();
  if (pid == 0) {
    {
      const Process inherited = std::move(child);
    }
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(child.is_alive());
  child.kill();
}

TEST_P(Start, the_child_is_this_process_s_own) {
  Queue<int> queue;
  Process(options(), [](Queue<int>& to) { to.put(::getppid()); }, queue).join();
  EXPECT_EQ(queue.get(), ::getpid());
}

// A family of its own, since every server it starts has the fault.
const Cast g_server_dies("server_dies", [](Context context) {
  ::setenv("FORKFUL_FAULTS", "server.cloned:kill@2", 1);
  Queue<int> queue;
  for (int i = 0; i < 8; ++i) {
    Process child({.context = context}, [](Queue<int>& to, int n) { to.put(n); }, queue, i);
    child.join();
    say(std::to_string(queue.get()) + " " + std::to_string(child.exit_code().value_or(-1)));
  }
  return 0;
});

TEST(ForkServer, that_is_killed_is_replaced_and_each_child_runs_once) {
  Actor actor("server_dies", Context::forkserver);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(actor.line(), std::to_string(i) + " 0");
  EXPECT_EQ(actor.wait(), 0);
}

const Cast g_lowering("lowering the limit", [](Context context) {
  Process({.context = context}, [] {}).join();
  const rlimit limit{64, 64};
  ::setrlimit(RLIMIT_NOFILE, &limit);
  Process child({.context = context}, [] {});
  child.join();
  say(std::to_string(child.exit_code().value()));
  return 0;
});

TEST_P(Start, goes_on_when_the_program_lowers_its_limit_of_descriptors) {
  EXPECT_EQ(Actor("lowering the limit", GetParam()).line(), "0");
}

TEST(Spawn, a_child_runs_though_its_parent_is_killed_and_another_has_its_place_before_it_begins) {
  int gate[2];
  ASSERT_EQ(::pipe(gate), 0);
  const Queue<bool> ran;
  const Queue<std::uint32_t> names;
  Process parent(
      {.context = Context::fork},
      [](Queue<bool>& to, Queue<std::uint32_t>& name, int descriptor) {
        name.put(sync::self().bits);
        ::setenv(kGate, std::to_string(descriptor).c_str(), 1);
        const Process child([](Queue<bool>& from) { from.put(g_passed_the_gate); }, to);
        die();
      },
      ran, names, gate[0]);
  parent.join();
  EXPECT_EQ(parent.exit_code(), -SIGKILL);
  const base::MemberId place{names.get()};
  std::vector<base::MemberId> others;
  do {
    others.push_back(arena::reserve_member(0, sync::self(), {}));
    arena::note_started(others.back(), ::getpid());
  } while (others.back().index() != place.index());
  ASSERT_EQ(::write(gate[1], "x", 1), 1);
  EXPECT_EQ(ran.get_for(20s), true);
  for (const base::MemberId each : others) arena::process_ended(each);
  ::close(gate[0]);
  ::close(gate[1]);
}

// The server, while it is this process's only child.
int only_child() {
  std::ifstream list("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  int pid = 0;
  list >> pid;
  return pid;
}

const Cast g_server_stops("server_stops", [](Context context) {
  Process({.context = context}, [] {}).join();
  const int server = only_child();
  ::kill(server, SIGSTOP);
  std::thread starter([&] { Process({.context = context}, [] {}).join(); });
  // Asleep, for its start waits for the server's answer.
  std::string state;
  while (state != "S") {
    std::string words;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      if (task.path().filename() == std::to_string(::getpid())) continue;
      std::ifstream(task.path() / "stat") >> words >> words >> state;
    }
    std::this_thread::yield();
  }
  const int pid = ::fork();
  if (pid == 0) ::_exit(0);
  ::waitpid(pid, nullptr, 0);
  say("forked");
  ::kill(server, SIGCONT);
  starter.join();
  say("started");
  return 0;
});

TEST(ForkServer, that_is_stopped_keeps_no_other_thread_from_forking) {
  Actor actor("server_stops", Context::forkserver);
  EXPECT_EQ(actor.line(), "forked");
  EXPECT_EQ(actor.line(), "started");
  EXPECT_EQ(actor.wait(), 0);
}

void take_what_is_not_there() { EXPECT_THROW((void)bytes::take_carried_descriptor(1000), Error); }

TEST(CarriedDescriptor, is_taken_in_a_forked_child_whatever_another_thread_did_at_the_fork) {
  const std::jthread taking([](const std::stop_token& stop) {
    while (!stop.stop_requested()) take_what_is_not_there();
  });
  for (int i = 0; i < 100; ++i) {
    Process child({.daemon = true, .context = Context::fork}, take_what_is_not_there);
    ASSERT_TRUE(child.join_for(20s)) << "it waits for a thread that it does not have";
  }
}

TEST(Marker, is_gone_from_the_environment_of_a_started_process) {
  Queue<bool> queue;
  Process([](Queue<bool>& to) { to.put(::getenv(process::kMarkerName) == nullptr); }, queue).join();
  EXPECT_TRUE(queue.get());
}

const Cast g_impostor("impostor", [](Context) { return 0; });

TEST(Marker, of_no_family_is_refused) {
  for (const char* marker :
       {"nonsense", "-1,0,1,2,3,-1,65537,65538,42", "-1,900,901,902,903,-1,1,2,3"}) {
    ::setenv(process::kMarkerName, marker, 1);
    Actor actor("impostor", Context::spawn);
    ::unsetenv(process::kMarkerName);
    EXPECT_EQ(actor.wait(), 1) << marker;
  }
}

// What a process that is executed for nothing real makes of its marker: `damage` writes over what
// it was to be started for.
int exit_code_after(
    const std::function<void(process::StartWords& words, arena::Member& slot)>& damage) {
  const auto entry = [](bytes::Bytes) {};
  const process::Marker marker = process::invite({.name = "damaged"}, entry, {}, {});
  arena::Member& slot = arena::member(marker.invitation.member);
  damage(arena::at<process::StartWords>(slot.start.load()), slot);
  const int pid = process::execute_again(marker, {});
  int status = 0;
  ::waitpid(pid, &status, 0);
  arena::process_ended(marker.invitation.member);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(StartWords, that_were_written_over_end_the_process_with_a_reason) {
  using process::StartWords;
  EXPECT_EQ(exit_code_after([](StartWords&, arena::Member&) {}), 0);
  for (const std::uint64_t bytes : {~0ull, ~0ull - sizeof(StartWords) + 1, 1ull << 40, 5000ull}) {
    EXPECT_EQ(
        exit_code_after([&](StartWords& words, arena::Member&) { words.payload_bytes = bytes; }),
        1);
  }
  EXPECT_EQ(exit_code_after([](StartWords& words, arena::Member&) { words.descriptors = ~0u; }), 1);
  for (const base::Offset where :
       {arena::kWindowBytes - 4, arena::kWindowBytes, ~base::Offset{0}}) {
    EXPECT_EQ(exit_code_after([&](StartWords&, arena::Member& slot) { slot.start = where; }), 1);
  }
}

}  // namespace
}  // namespace forkful::test
