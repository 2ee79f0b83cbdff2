// Pipes between processes.

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <forkful/forkful.hpp>
#include <map>
#include <string>
#include <thread>
#include <tuple>
#include <variant>

#include "support/child.hpp"
#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;

class Pipes : public AllContexts {
 protected:
  [[nodiscard]] ProcessOptions options() const { return {.context = GetParam()}; }
};
FORKFUL_OVER_ALL_CONTEXTS(Pipes);

void echo_until_the_end(Connection connection) {
  try {
    for (;;) connection.send(connection.recv<std::string>());
  } catch (const EndOfFile&) {
    // Why: the caller has closed its end.
  }
}

TEST_P(Pipes, a_connection_moves_into_a_process) {
  auto [a, b] = Pipe();
  // Under fork the child has a copy of this end too, and would wait for its own end.
  const bool sees_the_end = GetParam() != Context::fork;
  Process child(options(), echo_until_the_end, std::move(b));
  EXPECT_FALSE(b.is_open());  // NOLINT(bugprone-use-after-move): what is asked
  for (const std::size_t size : {0, 1, 1000, 1 << 20}) {
    const std::string text(size, 'x');
    a.send(text);
    EXPECT_EQ(a.recv<std::string>(), text);
  }
  a.close();
  if (!sees_the_end) child.kill();
  child.join();
  EXPECT_EQ(child.exit_code(), sees_the_end ? 0 : -SIGKILL);
}

TEST_P(Pipes, of_one_direction) {
  auto [from, to] = Pipe({.duplex = false});
  Process child(
      options(),
      [](Connection connection) {
        for (int i = 0; i < 3; ++i) connection.send(i);
        connection.send("ready");
      },
      std::move(to));
  EXPECT_THROW(from.send(1), Error);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(from.recv<int>(), i);
  EXPECT_EQ(from.recv<std::string>(), "ready");
  EXPECT_THROW((void)from.recv<int>(), EndOfFile);
}

TEST_P(Pipes, large_messages_go_both_ways_at_once) {
  constexpr std::size_t kSize = 64 << 20;
  auto [a, b] = Pipe();
  const Process child(
      options(),
      [](Connection connection, std::size_t size) {
        std::jthread sender([&] { connection.send_bytes(std::vector(size, std::byte{1})); });
        const auto received = connection.recv_bytes();
        sender.join();
        connection.send(received == std::vector(size, std::byte{2}));
      },
      std::move(b), kSize);
  std::jthread sender([&a = a] { a.send_bytes(std::vector(kSize, std::byte{2})); });
  EXPECT_TRUE(a.recv_bytes() == std::vector(kSize, std::byte{1}));
  EXPECT_TRUE(a.recv<bool>());
}

struct Ends {
  Connection first;
  std::vector<Connection> others;
  int number;
};

TEST_P(Pipes, several_connections_move_in_one_argument) {
  auto [a, b] = Pipe();
  auto [c, d] = Pipe();
  std::vector<Connection> list;
  list.push_back(std::move(d));
  Ends ends{std::move(b), std::move(list), 7};
  const Process child(
      options(),
      [](Ends all, std::string text) {
        all.first.send(all.number);
        all.others.at(0).send(text);
      },
      std::move(ends), "x");
  EXPECT_FALSE(ends.first.is_open());  // NOLINT(bugprone-use-after-move): what is asked
  EXPECT_EQ(a.recv<int>(), 7);
  EXPECT_EQ(c.recv<std::string>(), "x");
  EXPECT_THROW((void)a.recv<int>(), EndOfFile);
  EXPECT_THROW((void)c.recv<int>(), EndOfFile);
}

TEST_P(Pipes, the_callee_may_take_a_stop_token_as_well) {
  auto [a, b] = Pipe();
  {
    const Process child(
        options(),
        [](std::stop_token stop, Connection connection) {
          connection.send(1);
          connection.send(connection.recv<int>(stop).has_value());
        },
        std::move(b));
    EXPECT_EQ(a.recv<int>(), 1);
  }
  EXPECT_FALSE(a.recv<bool>());
}

TEST_P(Pipes, the_end_of_a_killed_process_is_found) {
  auto [a, b] = Pipe();
  Process child(
      options(),
      [](Connection connection) {
        connection.send(1);
        for (;;) ::pause();
      },
      std::move(b));
  EXPECT_EQ(a.recv<int>(), 1);
  std::jthread killer([&] { child.kill(); });
  EXPECT_THROW((void)a.recv<int>(), EndOfFile);
  try {
    a.send(2);
    ADD_FAILURE() << "sent to nobody";
  } catch (const OsError& error) {
    EXPECT_EQ(error.error(), EPIPE);
  }
}

TEST_P(Pipes, a_process_killed_in_mid_message_leaves_no_half_of_it) {
  auto [a, b] = Pipe();
  Process child(
      options(),
      [](Connection connection) {
        connection.send(std::string(100'000, 'x'));
        die_at("connection.sent_part");
        connection.send(std::string(8 << 20, 'y'));  // more than fits while nobody receives
      },
      std::move(b));
  EXPECT_EQ(a.recv<std::string>(), std::string(100'000, 'x'));
  child.join();
  EXPECT_EQ(child.exit_code(), -SIGKILL);
  EXPECT_THROW((void)a.recv<std::string>(), EndOfFile);
}

TEST_P(Pipes, a_start_that_fails_leaves_the_connection_with_the_caller) {
  auto [a, b] = Pipe();
  const int fd = b.fileno();
  auto [c, d] = Pipe();
  d.close();  // a closed one cannot be encoded
  EXPECT_THROW(
      Process(options(), [](Connection, Connection) {}, std::move(b), std::move(d)), OsError);
  EXPECT_TRUE(b.is_open());  // NOLINT(bugprone-use-after-move): what is asked
  EXPECT_EQ(b.fileno(), fd);
  b.send(1);
  EXPECT_EQ(a.recv<int>(), 1);
}

TEST(Connections, their_end_keeps_its_type_on_the_way_to_a_pool_s_client) {
  Pool pool(1);
  auto future = pool.apply_async([] {
    auto [a, b] = Pipe();
    b.close();
    return a.recv<int>();
  });
  EXPECT_THROW((void)future.get(), EndOfFile);
}

TEST(Connections, wait_with_limits) {
  auto [a, b] = Pipe();
  EXPECT_FALSE(a.poll());
  EXPECT_FALSE(a.poll(1ms));
  EXPECT_EQ(a.recv_for<int>(1ms), std::nullopt);
  EXPECT_EQ(a.recv_until<int>(std::chrono::steady_clock::now() + 1ms), std::nullopt);
  EXPECT_EQ(a.recv_until<int>(std::chrono::system_clock::now() + 1ms), std::nullopt);
  EXPECT_TRUE(b.send_for(5, 1s));
  EXPECT_TRUE(a.poll());
  EXPECT_TRUE(a.poll(10s));
  EXPECT_EQ(a.recv_for<int>(10s), 5);
  while (b.send_for(1, 0ns)) {
  }
  EXPECT_FALSE(b.send_for(1, 1ms));
  EXPECT_FALSE(b.send_until(1, std::chrono::system_clock::now() + 1ms));
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(b.recv<int>(stop.get_token()), std::nullopt);
}

TEST(Connections, work_with_poll_of_the_system) {
  auto [a, b] = Pipe();
  pollfd look{a.fileno(), POLLIN, 0};
  EXPECT_EQ(::poll(&look, 1, 0), 0);
  b.send(1);
  EXPECT_EQ(::poll(&look, 1, 0), 1);
  EXPECT_EQ(a.recv<int>(), 1);
  EXPECT_EQ(::poll(&look, 1, 0), 0);
}

TEST(Connections, several_can_be_waited_for) {
  auto [a, b] = Pipe();
  auto [c, d] = Pipe();
  EXPECT_TRUE(wait_readable_for({&a, &c}, 1ms).empty());
  std::jthread sender([&d = d] { d.send(1); });
  EXPECT_EQ(wait_readable({&a, &c}), std::vector<Connection*>{&c});
  b.close();
  EXPECT_EQ(wait_readable({&c, &a}), (std::vector<Connection*>{&c, &a}));
}

TEST(Connections, inherited_by_a_fork_can_only_be_closed) {
  auto [a, b] = Pipe();
  auto child = fork_child([&a = a, &b = b] {
    const auto refuses = [](auto use) {
      try {
        use();
      } catch (const Error&) {
        return true;
      }
      return false;
    };
    FORKFUL_MUST(refuses([&] { b.send(1); }));
    FORKFUL_MUST(refuses([&] { (void)b.recv<int>(); }));
    FORKFUL_MUST(refuses([&] { (void)b.poll(); }));
    FORKFUL_MUST(refuses(
        [&] { Process({.context = Context::fork}, [](Connection) {}, std::move(b)).join(); }));
    a.close();
    b.close();
  });
  EXPECT_EQ(child.wait(), 0);
  b.send(1);
  EXPECT_EQ(a.recv<int>(), 1);
}

TEST(Connections, do_not_move_in_mid_message) {
  auto [a, b] = Pipe();
  const char half[] = {0, 0, 0, 9, 1};
  EXPECT_EQ(::write(a.fileno(), half, sizeof half), static_cast<ssize_t>(sizeof half));
  EXPECT_EQ(b.recv_for<int>(0ns), std::nullopt);
  EXPECT_THROW(Process({.context = Context::fork}, [](Connection) {}, std::move(b)), Error);
  EXPECT_TRUE(b.is_open());  // NOLINT(bugprone-use-after-move): what is asked
}

struct Plain {
  int number;
  std::string text;
};
static_assert(detail::is_start_only<Connection>);
static_assert(detail::is_start_only<Ends&>);
static_assert(detail::is_start_only<std::map<int, std::pair<int, Connection>>>);
static_assert(detail::is_start_only<std::optional<std::tuple<std::variant<int, Connection>>>>);
static_assert(!detail::is_start_only<std::map<int, std::pair<Plain, Queue<int>>>>);
static_assert(!std::is_copy_constructible_v<Connection>);

}  // namespace
}  // namespace forkful::test
