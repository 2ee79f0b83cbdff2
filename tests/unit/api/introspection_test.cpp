// What a process says of itself and its relatives, and the family's log.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <forkful/current_process.hpp>
#include <forkful/event.hpp>
#include <forkful/log.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <set>
#include <string>
#include <thread>
#include <tuple>

#include "kernel/fd.hpp"
#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

class Introspection : public AllContexts {
 protected:
  [[nodiscard]] ProcessOptions options(std::string name = {}) const {
    return {.name = std::move(name), .context = GetParam()};
  }
};
FORKFUL_OVER_ALL_CONTEXTS(Introspection);

TEST(Introspection_of, the_first_process) {
  EXPECT_EQ(current_process().name, "MainProcess");
  EXPECT_EQ(current_process().pid, ::getpid());
  EXPECT_FALSE(current_process().daemon);
  EXPECT_FALSE(parent_process());
}

TEST_P(Introspection, a_child_knows_its_name_and_its_parent) {
  Queue<std::tuple<std::string, int, std::string, int>> queue;
  Process child(
      options("reader"),
      [](auto& to) {
        const auto me = current_process();
        const auto parent = parent_process().value();
        to.put({me.name, me.pid, parent.name, parent.pid});
      },
      queue);
  EXPECT_EQ(child.name(), "reader");
  EXPECT_EQ(queue.get(), std::tuple("reader", child.pid(), "MainProcess", ::getpid()));
}

TEST_P(Introspection, children_are_named_in_turn_and_by_their_parent) {
  Queue<std::string> queue;
  const auto nest = [](Queue<std::string>& to, int context) {
    Process grandchild(
        ProcessOptions{.context = static_cast<Context>(context)},
        [](Queue<std::string>& up) { up.put(current_process().name); }, to);
    to.put(current_process().name);
  };
  Process first(options(), nest, queue, static_cast<int>(GetParam()));
  first.join();
  const std::set<std::string> names{queue.get(), queue.get()};
  EXPECT_EQ(names, (std::set<std::string>{first.name(), first.name() + ":1"}));
  EXPECT_EQ(first.name().rfind("Process-", 0), 0u);
  Process second(options(), [] {});
  EXPECT_NE(second.name(), first.name());
}

TEST_P(Introspection, a_name_that_is_too_long_is_cut_for_the_family) {
  const std::string name(100, 'n');
  Queue<std::string> queue;
  Process child(
      options(name), [](Queue<std::string>& to) { to.put(current_process().name); }, queue);
  EXPECT_EQ(child.name(), name);
  EXPECT_EQ(queue.get(), name.substr(0, 31));
}

TEST_P(Introspection, active_children_are_those_that_run) {
  EXPECT_TRUE(active_children().empty());
  const Event end;
  ProcessOptions daemon = options("daemon");
  daemon.daemon = true;
  Process plain(options("plain"), [](Event& until) { until.wait(); }, end);
  Process other(daemon, [](Event& until) { until.wait(); }, end);
  std::set<std::tuple<std::string, int, bool>> children;
  for (const auto& each : active_children()) children.emplace(each.name, each.pid, each.daemon);
  EXPECT_EQ(children, (std::set<std::tuple<std::string, int, bool>>{
                          {"plain", plain.pid(), false}, {"daemon", other.pid(), true}}));
  end.set();
  plain.join();
  other.join();
  EXPECT_TRUE(active_children().empty());
}

TEST_P(Introspection,
       a_child_that_another_thread_just_starts_is_listed_with_its_pid_or_not_at_all) {
  std::atomic<bool> done = false;
  std::thread starter([&] {
    for (int i = 0; i < 20; ++i) Process(options(), [] {}).join();
    done = true;
  });
  int without_pid = 0;
  while (!done) {
    for (const auto& each : active_children()) without_pid += each.pid == 0 ? 1 : 0;
  }
  starter.join();
  EXPECT_EQ(without_pid, 0);
}

TEST_P(Introspection, a_pool_s_workers_are_children_too) {
  Pool pool({.processes = 2, .context = GetParam()});
  EXPECT_TRUE(eventually([] { return active_children().size() == 2; }));
  const std::string name = pool.apply([] { return current_process().name; });
  EXPECT_NE(name.find("PoolWorker-"), std::string::npos) << name;
}

// Everything that is written to `fd` while it lives.
class Recorded {
 public:
  Recorded() : pipe_(kernel::make_pipe()) { kernel::keep_on_exec(pipe_.write.get()); }
  [[nodiscard]] int fd() const { return pipe_.write.get(); }
  std::string text() {
    pipe_.write.reset();
    std::string text;
    char piece[4096];
    for (ssize_t got = 0; (got = ::read(pipe_.read.get(), piece, sizeof piece)) > 0;) {
      text.append(piece, static_cast<std::size_t>(got));
    }
    return text;
  }

 private:
  kernel::PipeEnds pipe_;
};

TEST(Log, has_whole_lines_of_all_processes) {
  Recorded log;
  log_to(log.fd(), LogLevel::info);
  get_logger().debug("too fine");
  get_logger().warning("from the parent");
  // Spawned processes keep no descriptor but those they are given.
  Process child({.name = "worker-7", .context = Context::fork},
                [] { get_logger().info("working"); });
  child.join();
  log_to(2, LogLevel::off);
  get_logger().error("too late");
  const std::string text = log.text();
  EXPECT_NE(text.find("[WARNING/MainProcess] from the parent\n"), std::string::npos) << text;
  EXPECT_NE(text.find("[INFO/worker-7] working\n"), std::string::npos) << text;
  EXPECT_NE(text.find("[INFO/worker-7] the process ends with exit code 0\n"), std::string::npos);
  EXPECT_EQ(text.find("too "), std::string::npos) << text;
}

TEST(Log, level_holds_in_spawned_processes) {
  log_to(-1, LogLevel::warning);  // nowhere
  Queue<bool> queue;
  Process child(
      [](Queue<bool>& to) {
        to.put(get_logger().enabled(LogLevel::warning));
        to.put(get_logger().enabled(LogLevel::info));
      },
      queue);
  EXPECT_TRUE(queue.get());
  EXPECT_FALSE(queue.get());
  log_to(2, LogLevel::off);
}

}  // namespace
}  // namespace forkful::test
