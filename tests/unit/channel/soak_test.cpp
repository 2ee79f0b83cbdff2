// Senders and receivers are killed at random, for a while.
//
//   FORKFUL_SOAK_SECONDS=600 FORKFUL_SEED=1 makes it longer, and the same again.
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"

namespace forkful::bytes {
namespace {

using std::chrono::steady_clock;
using Put = ByteQueue::Put;
using Got = ByteQueue::Got;

constexpr std::uint32_t kMostLives = 65'536;  // of senders, each with a number of its own
constexpr std::uint32_t kMostNumbers = 4096;  // of messages in one life
constexpr std::uint32_t kLastDelay = 3'000;

struct Life {
  std::atomic<std::uint32_t> put;  // confirmed
  std::atomic<std::uint64_t> seen[kMostNumbers / 64];
};
struct Book {
  Life lives[kMostLives];
};

std::size_t size_of(std::uint32_t number) {
  constexpr std::array<std::size_t, 6> kSizes{16, 100, 4096, 5000, 40, 70'000};
  return kSizes[number % kSizes.size()];
}

void send(const ByteQueue& queue, Life& life, std::uint32_t sender) {
  for (std::uint32_t i = 0; i < kMostNumbers; ++i) {
    FORKFUL_MUST(test::put(queue, test::make_message(sender, i, size_of(i))) == Put::sent);
    life.put = i + 1;
  }
}

void note(Book& book, Bytes message) {
  const auto stamp = test::read_message(message);
  FORKFUL_MUST(stamp);
  const std::uint64_t bit = 1ull << (stamp->number % 64);
  const std::uint64_t before = book.lives[stamp->sender].seen[stamp->number / 64].fetch_or(bit);
  FORKFUL_MUST((before & bit) == 0);  // nothing comes twice
}

void receive(const ByteQueue& queue, Book& book) {
  for (;;) {
    ByteMessage message;
    FORKFUL_MUST(test::get(queue, message) == Got::received);
    note(book, message.bytes());
  }
}

// How many messages were sent and never came, of so many senders' lives.
long count_lost(const Book& book, std::uint32_t lives) {
  long lost = 0;
  for (std::uint32_t life = 0; life < lives; ++life) {
    const Life& each = book.lives[life];
    for (std::uint32_t i = 0; i < kMostNumbers; ++i) {
      const bool seen = (each.seen[i / 64] >> (i % 64) & 1) != 0;
      EXPECT_TRUE(!seen || i <= each.put) << "a message that was not sent";
      lost += !seen && i < each.put ? 1 : 0;
    }
  }
  return lost;
}

TEST(Soak, of_random_kills_loses_nothing_that_was_sent_and_leaks_nothing) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "many forks";
  constexpr std::size_t kSenders = 3;
  constexpr std::size_t kAll = 5;
  std::mt19937 random(test::seed());
  auto& book = *static_cast<Book*>(test::shared_memory(sizeof(Book)));
  {
    const ByteQueue first = ByteQueue::create();
  }
  const std::uint64_t used = arena::heap_use().used_bytes;
  ByteQueue queue = ByteQueue::create(64);
  std::uint32_t lives = 0;
  long receivers_killed = 0;
  const auto start = [&](std::size_t role) {
    if (role >= kSenders) return test::fork_child([&] { receive(queue, book); });
    const std::uint32_t life = lives++;
    return test::fork_child([&, life] { send(queue, book.lives[life], life); });
  };
  std::vector<test::Child> running;
  for (std::size_t role = 0; role < kAll; ++role) running.push_back(start(role));
  const auto end =
      steady_clock::now() + std::chrono::seconds(test::from_environment("FORKFUL_SOAK_SECONDS", 3));
  long kills = 0;
  for (; steady_clock::now() < end && lives < kMostLives; ++kills) {
    // Why: the kill is to come at a random time.
    std::this_thread::sleep_for(std::chrono::microseconds(random() % kLastDelay));
    const std::size_t role = random() % kAll;
    test::Child& victim = running[role];
    victim.signal(SIGKILL);
    receivers_killed += role >= kSenders ? 1 : 0;
    const bool late = random() % 4 == 0;
    test::Child dead = std::move(victim);
    const int code = late ? dead.wait_without_reaping() : dead.wait();
    ASSERT_TRUE(code == -SIGKILL || (code == 0 && role < kSenders)) << code;
    victim = start(role);
    if (late) arena::process_ended(dead.member());
    if (kills % 64 == 0) arena::check_heap();
  }
  for (test::Child& child : running) child.kill();
  receivers_killed += kAll - kSenders;
  for (ByteMessage message; test::get(queue, message, Deadline::poll()) == Got::received;) {
    note(book, message.bytes());
  }
  queue = ByteQueue();
  arena::check_heap();
  EXPECT_EQ(arena::heap_use().used_bytes, used);

  const long lost = count_lost(book, lives);
  std::printf("%ld kills, %u senders' lives, %ld messages went with their receivers\n", kills,
              lives, lost);
  EXPECT_LE(lost, receivers_killed) << "a receiver takes one message with it at most";
}

}  // namespace
}  // namespace forkful::bytes
