// Messages through a stream: what goes over the wire, and what becomes of half of one.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <forkful/bytes/connection.hpp>
#include <forkful/errors.hpp>
#include <string>
#include <thread>
#include <vector>

#include "channel/turn.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"

namespace forkful::bytes {
namespace {

using namespace std::chrono_literals;
using Message = std::vector<std::byte>;

Message bytes_of(std::initializer_list<unsigned> values) {
  Message all;
  for (const unsigned each : values) all.push_back(static_cast<std::byte>(each));
  return all;
}

Waited send(RawConnection& to, std::span<const std::byte> message,
            Deadline until = Deadline::never()) {
  Wait wait(until);
  return to.send({&message, 1}, wait);
}

// The next message; nothing when none is whole in time.
std::optional<Message> receive(RawConnection& from, Deadline until = Deadline::never()) {
  ReceivedBytes message;
  Wait wait(until);
  if (from.receive(message, wait) != Waited::done) return std::nullopt;
  return Message(message.bytes().begin(), message.bytes().end());
}

// One end as a Connection, and the descriptor of the other.
class Wire : public testing::Test {
 protected:
  Wire() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    connection_ = RawConnection::from_fd(ends[0]);
    fd_ = kernel::Fd(ends[1]);
  }
  void feed(const Message& bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  Message read(std::size_t most) {
    Message bytes(most);
    const ssize_t got = ::recv(fd_.get(), bytes.data(), most, MSG_DONTWAIT);
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
  }

  RawConnection connection_;
  kernel::Fd fd_;
};

TEST_F(Wire, a_message_is_its_length_in_four_bytes_of_network_order_and_its_bytes) {
  EXPECT_EQ(send(connection_, bytes_of({7, 8, 9})), Waited::done);
  EXPECT_EQ(read(100), bytes_of({0, 0, 0, 3, 7, 8, 9}));
  EXPECT_EQ(send(connection_, {}), Waited::done);
  EXPECT_EQ(read(100), bytes_of({0, 0, 0, 0}));
  EXPECT_EQ(send(connection_, Message(0x1234)), Waited::done);
  EXPECT_EQ(read(4), bytes_of({0, 0, 0x12, 0x34}));
}

TEST_F(Wire, parts_become_one_message) {
  const Message first = bytes_of({1, 2});
  const Message third = bytes_of({3});
  const std::array<Bytes, 3> parts{first, Bytes(), third};
  Wait wait;
  EXPECT_EQ(connection_.send(parts, wait), Waited::done);
  EXPECT_EQ(read(100), bytes_of({0, 0, 0, 3, 1, 2, 3}));
  const std::vector<Bytes> many(300, Bytes(third));
  EXPECT_EQ(connection_.send(many, wait), Waited::done);
  EXPECT_EQ(read(1000).size(), 304u);
}

TEST_F(Wire, nothing_is_lost_by_time_outs_between_the_bytes_of_a_message) {
  for (const unsigned byte : {0u, 0u, 0u, 3u, 4u, 5u}) {
    feed(bytes_of({byte}));
    EXPECT_EQ(receive(connection_, Deadline::poll()), std::nullopt);
    EXPECT_EQ(receive(connection_, Deadline::in(1us)), std::nullopt);
    EXPECT_FALSE(connection_.is_between_messages());
  }
  feed(bytes_of({6, 0, 0}));
  EXPECT_EQ(receive(connection_, Deadline::poll()), bytes_of({4, 5, 6}));
  EXPECT_EQ(receive(connection_, Deadline::poll()), std::nullopt);
  feed(bytes_of({0, 1, 9}));
  EXPECT_EQ(receive(connection_, Deadline::poll()), bytes_of({9}));
  EXPECT_TRUE(connection_.is_between_messages());
}

TEST_F(Wire, minus_one_says_that_the_length_has_eight_bytes) {
  feed(bytes_of({255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 2, 6, 7}));
  feed(bytes_of({0, 0, 0, 1, 8}));
  EXPECT_EQ(receive(connection_), bytes_of({6, 7}));
  EXPECT_EQ(receive(connection_), bytes_of({8}));
}

long pages_mapped() {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file != nullptr) {
    if (std::fscanf(file, "%ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages;
}

TEST_F(Wire, a_claimed_length_takes_no_memory) {
  const long before = pages_mapped();
  feed(bytes_of({255, 255, 255, 255, 0, 0, 128, 0, 0, 0, 0, 0}));  // 128 TiB
  feed(Message(100'000));
  EXPECT_EQ(receive(connection_, Deadline::poll()), std::nullopt);
  EXPECT_LT(pages_mapped() - before, 1024);  // of 4 KiB
  fd_.reset();
  EXPECT_THROW((void)receive(connection_), EndOfFile);
}

TEST_F(Wire, a_negative_or_absurd_length_is_an_error_and_what_follows_is_not_taken_for_messages) {
  for (const Message& header :
       {bytes_of({255, 255, 255, 254}), bytes_of({128, 0, 0, 0}),
        bytes_of({255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}),
        bytes_of({255, 255, 255, 255, 0, 2, 0, 0, 0, 0, 0, 0})}) {
    auto [a, b] = RawConnection::make_pipe();
    EXPECT_EQ(::send(a.fileno(), header.data(), header.size(), 0),
              static_cast<ssize_t>(header.size()));
    EXPECT_EQ(send(a, bytes_of({1})), Waited::done);
    EXPECT_THROW((void)receive(b), Error);
    EXPECT_THROW((void)receive(b), Error);
    EXPECT_EQ(send(b, bytes_of({2})), Waited::done);  // the other direction is not concerned
    EXPECT_EQ(receive(a), bytes_of({2}));
  }
}

TEST_F(Wire, a_message_above_the_limit_is_an_error) {
  feed(bytes_of({0, 0, 0, 2, 1, 2, 0, 0, 0, 3, 1, 2, 3}));
  ReceivedBytes message;
  Wait wait;
  EXPECT_EQ(connection_.receive(message, wait, 2), Waited::done);
  EXPECT_THROW((void)connection_.receive(message, wait, 2), Error);
  EXPECT_THROW((void)receive(connection_), Error);
}

TEST_F(Wire, the_end_is_found_behind_the_messages) {
  feed(bytes_of({0, 0, 0, 1, 5}));
  fd_.reset();
  Wait wait(Deadline::poll());
  EXPECT_EQ(connection_.poll(wait), Waited::done);
  EXPECT_EQ(receive(connection_), bytes_of({5}));
  EXPECT_EQ(connection_.poll(wait), Waited::done);
  EXPECT_THROW((void)receive(connection_), EndOfFile);
  EXPECT_THROW((void)receive(connection_), EndOfFile);
}

TEST_F(Wire, half_a_message_is_no_message) {
  feed(bytes_of({0, 0, 0, 9, 5, 5, 5}));
  fd_.reset();
  EXPECT_THROW((void)receive(connection_), EndOfFile);
}

TEST_F(Wire, what_came_is_received_although_the_other_end_did_not_receive_all) {
  EXPECT_EQ(send(connection_, Message(1000)), Waited::done);
  feed(bytes_of({0, 0, 0, 1, 5}));
  fd_.reset();  // the kernel calls this a reset
  EXPECT_EQ(receive(connection_), bytes_of({5}));
  EXPECT_THROW((void)receive(connection_), EndOfFile);
}

void expect_broken_pipe(RawConnection& connection) {
  try {
    (void)send(connection, Message(10));
    ADD_FAILURE() << "sent to nobody";
  } catch (const OsError& error) {
    EXPECT_EQ(error.error(), EPIPE);
  }
}

TEST_F(Wire, sending_to_nobody_is_an_error_and_no_signal) {
  fd_.reset();
  expect_broken_pipe(connection_);
}

TEST(Connections, over_a_pipe_of_the_kernel) {
  auto pipe = kernel::make_pipe();
  auto from = RawConnection::from_fd(pipe.read.release(), true, false);
  auto to = RawConnection::from_fd(pipe.write.release(), false, true);
  EXPECT_EQ(receive(from, Deadline::in(1ms)), std::nullopt);
  const Message large = test::make_message(1, 2, 3 << 20);
  std::jthread sender([&] { EXPECT_EQ(send(to, large), Waited::done); });
  EXPECT_EQ(receive(from), large);
  sender.join();
  while (send(to, Message(1000), Deadline::in(1ms)) == Waited::done) {
  }
  EXPECT_EQ(receive(from), Message(1000));
  from.close();
  expect_broken_pipe(to);
}

TEST(Connections, of_a_simplex_pipe_go_one_way) {
  auto [from, to] = RawConnection::make_pipe(false);
  EXPECT_TRUE(from.readable() && !from.writable() && to.writable() && !to.readable());
  EXPECT_THROW((void)send(from, {}), Error);
  EXPECT_THROW((void)receive(to), Error);
  Wait wait(Deadline::poll());
  EXPECT_THROW((void)to.poll(wait), Error);
  EXPECT_EQ(from.poll(wait), Waited::timed_out);
  EXPECT_EQ(send(to, bytes_of({1})), Waited::done);
  EXPECT_EQ(from.poll(wait), Waited::done);
  EXPECT_EQ(receive(from), bytes_of({1}));
  to.close();
  EXPECT_THROW((void)receive(from), EndOfFile);
}

TEST(Connections, that_are_closed_say_so) {
  auto [a, b] = RawConnection::make_pipe();
  a.close();
  a.close();
  EXPECT_FALSE(a.is_open() || a.readable() || a.writable());
  EXPECT_THROW((void)send(a, {}), OsError);
  EXPECT_THROW((void)receive(a), OsError);
  EXPECT_THROW((void)a.fileno(), OsError);
}

TEST(Connections, a_send_that_times_out_has_sent_nothing) {
  auto [a, b] = RawConnection::make_pipe();
  const auto size_of = [](std::uint32_t number) { return std::size_t{number % 7} * 3000; };
  std::uint32_t sent = 0;
  while (send(a, test::make_message(1, sent, size_of(sent)), Deadline::poll()) == Waited::done) {
    ++sent;
  }
  EXPECT_EQ(send(a, test::make_message(1, sent, 100), Deadline::in(1ms)), Waited::timed_out);
  EXPECT_TRUE(a.is_between_messages());
  a.close();
  for (std::uint32_t number = 0; number < sent; ++number) {
    const auto message = receive(b);
    ASSERT_TRUE(message);
    const auto stamp = test::read_message(*message);
    ASSERT_TRUE(stamp);
    EXPECT_EQ(stamp->number, number);
  }
  EXPECT_THROW((void)receive(b), EndOfFile);
}

// Ends at the first sleep.
class Impatient final : public Wait {
 public:
  bool interrupted(bool) noexcept override { return true; }
};

TEST(Connections, a_send_interrupted_in_mid_message_breaks_the_stream_off) {
  auto [a, b] = RawConnection::make_pipe();
  EXPECT_EQ(send(a, bytes_of({1})), Waited::done);
  const Message large(4 << 20);
  const Bytes part = large;
  Impatient wait;
  EXPECT_EQ(a.send({&part, 1}, wait), Waited::interrupted);
  expect_broken_pipe(a);
  EXPECT_EQ(receive(b), bytes_of({1}));
  EXPECT_THROW((void)receive(b), EndOfFile);
  EXPECT_EQ(send(b, bytes_of({2})), Waited::done);
  EXPECT_EQ(receive(a), bytes_of({2}));
}

TEST(Connections, a_receive_interrupted_in_mid_message_goes_on_later) {
  auto [a, b] = RawConnection::make_pipe();
  const Message large = test::make_message(3, 4, 4 << 20);
  std::jthread sender([&] { EXPECT_EQ(send(a, large), Waited::done); });
  ReceivedBytes message;
  Impatient wait;
  while (b.receive(message, wait) == Waited::interrupted) {
  }
  EXPECT_TRUE(test::read_message(message.bytes()));
}

TEST(Connections, threads_send_and_receive_whole_messages) {
  constexpr std::uint32_t kThreads = 4;
  constexpr std::uint32_t kEach = 300;
  auto [a, b] = RawConnection::make_pipe();
  std::atomic<std::uint32_t> received{0};
  std::atomic<std::uint32_t> broken{0};
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&a = a, i] {
        for (std::uint32_t n = 0; n < kEach; ++n) {
          const std::size_t size = n % 50 == 0 ? 700'000 : n * 10;
          EXPECT_EQ(send(a, test::make_message(i, n, size)), Waited::done);
        }
      });
      threads.emplace_back([&, &b = b] {
        while (received < kThreads * kEach) {
          const auto message = receive(b, Deadline::in(10ms));
          if (!message) continue;
          ++received;
          if (!test::read_message(*message)) ++broken;
        }
      });
    }
  }
  EXPECT_EQ(received, kThreads * kEach);
  EXPECT_EQ(broken, 0u);
}

TEST(Connections, a_deadline_holds_while_another_thread_has_the_turn) {
  auto [a, b] = RawConnection::make_pipe();
  std::jthread receiver([&b = b] { EXPECT_EQ(receive(b), bytes_of({1})); });
  EXPECT_EQ(receive(b, Deadline::in(1ms)), std::nullopt);
  EXPECT_EQ(receive(b, Deadline::poll()), std::nullopt);
  EXPECT_EQ(send(a, bytes_of({1})), Waited::done);
}

TEST(Connections, a_turn_of_the_parent_is_free_in_a_forked_child) {
  channel::Turn turn;
  Wait wait(Deadline::poll());
  sync::Blocking blocking(wait);
  EXPECT_EQ(turn.take(wait, blocking), Waited::done);
  EXPECT_EQ(turn.take(wait, blocking), Waited::timed_out);
  auto child = test::fork_child([&] {
    FORKFUL_MUST(turn.take(wait, blocking) == Waited::done);
    FORKFUL_MUST(turn.take(wait, blocking) == Waited::timed_out);
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST(ConnectionDeath, a_sender_killed_in_mid_message_leaves_whole_messages_and_the_end) {
  auto [a, b] = RawConnection::make_pipe();
  auto child = test::fork_child([&a = a, &b = b] {
    b.close();
    FORKFUL_MUST(send(a, test::make_message(1, 0, 50'000)) == Waited::done);
    test::die_at("connection.sent_part");
    (void)send(a, test::make_message(1, 1, 8 << 20));
  });
  a.close();
  const auto whole = receive(b);
  ASSERT_TRUE(whole);
  EXPECT_TRUE(test::read_message(*whole));
  EXPECT_THROW((void)receive(b), EndOfFile);
  EXPECT_EQ(child.wait(), -SIGKILL);
}

TEST(ConnectionDeath, a_receiver_killed_in_mid_message_ends_the_send) {
  auto [a, b] = RawConnection::make_pipe();
  auto child = test::fork_child([&a = a, &b = b] {
    a.close();
    test::die_at("connection.received_part", 2);
    (void)receive(b);
  });
  b.close();
  try {
    (void)send(a, Message(64 << 20));
    ADD_FAILURE() << "sent to nobody";
  } catch (const OsError& error) {
    EXPECT_EQ(error.error(), EPIPE);
  }
  EXPECT_EQ(child.wait(), -SIGKILL);
}

TEST(Connections, the_ready_ones_are_found) {
  auto [a, b] = RawConnection::make_pipe();
  auto [c, d] = RawConnection::make_pipe();
  const std::array descriptors{b.fileno(), d.fileno()};
  Wait at_once(Deadline::poll());
  Wait soon(Deadline::in(1ms));
  EXPECT_TRUE(wait_readable(descriptors, at_once).empty());
  EXPECT_TRUE(wait_readable(descriptors, soon).empty());
  EXPECT_EQ(send(c, {}), Waited::done);
  Wait wait;
  EXPECT_EQ(wait_readable(descriptors, wait), std::vector<std::size_t>{1});
  a.close();
  EXPECT_EQ(wait_readable(descriptors, wait), (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(wait_readable({}, wait).empty());
}

}  // namespace
}  // namespace forkful::bytes
