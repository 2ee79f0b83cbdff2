// Single steps over a descriptor: what they move, and what they say of an end, an error, a signal.

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <forkful/bytes/descriptor.hpp>
#include <string_view>
#include <thread>

#include "kernel/fd.hpp"

namespace forkful::bytes {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    reader = kernel::Fd(ends[0]);
    writer = kernel::Fd(ends[1]);
  }
  kernel::Fd reader;
  kernel::Fd writer;
};

TEST(Descriptor, two_parts_are_written_as_one) {
  const Pipe pipe;
  const Step written = write_step(pipe.writer.get(), bytes_of("head"), bytes_of(" and body"));
  EXPECT_EQ(written.bytes, 13u);
  std::array<std::byte, 20> room{};
  const Step got = read_step(pipe.reader.get(), room);
  ASSERT_EQ(got.bytes, 13u);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(room.data()), 13), "head and body");
  EXPECT_EQ(write_step(pipe.writer.get(), bytes_of("x"), {}).bytes, 1u);
}

TEST(Descriptor, the_end_and_errors_are_told_apart) {
  Pipe pipe;
  std::array<std::byte, 4> room{};
  pipe.writer = kernel::Fd();
  const Step end = read_step(pipe.reader.get(), room);
  EXPECT_EQ(end.bytes, 0u);
  EXPECT_EQ(end.error, 0);
  EXPECT_EQ(read_step(-1, room).error, EBADF);
  EXPECT_EQ(write_step(-1, bytes_of("x"), {}).error, EBADF);
}

TEST(Descriptor, a_signal_ends_a_step) {
  const Pipe pipe;
  struct sigaction handler{};
  handler.sa_handler = [](int) {};
  struct sigaction before{};
  ASSERT_EQ(::sigaction(SIGUSR1, &handler, &before), 0);
  const pthread_t reader = ::pthread_self();
  std::atomic<bool> over{false};
  std::thread striker([&] {
    while (!over) {
      ::pthread_kill(reader, SIGUSR1);
      std::this_thread::yield();
    }
  });
  std::array<std::byte, 4> room{};
  const Step struck = read_step(pipe.reader.get(), room);
  over = true;
  striker.join();
  EXPECT_EQ(struck.error, EINTR);
  ::sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace forkful::bytes
