// Four that send and four that receive, with messages of up to 70,000 bytes, in one queue.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "chaos/cast.hpp"
#include "chaos/guarded.hpp"
#include "chaos/storm.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"

namespace forkful::chaos {
namespace {

using bytes::ByteMessage;
using bytes::ByteQueue;
using bytes::RawLock;
using Put = ByteQueue::Put;
using Got = ByteQueue::Got;

constexpr std::size_t kSenders = 4;
constexpr std::size_t kReceivers = 4;
constexpr std::uint32_t kMostWaiting = 2'000;  // in a queue without a bound
constexpr std::uint32_t kMostSeries = 1u << 18;
constexpr std::uint32_t kSeriesLength = 4096;

// What was sent and what arrived, by series: so many messages of one sender, numbered.
struct Series {
  std::atomic<std::uint32_t> sent;
  std::array<std::atomic<std::uint64_t>, kSeriesLength / 64> seen;
};
struct Book {
  std::atomic<std::uint32_t> series_begun;
  std::array<Series, kMostSeries> series;
  Guarded guarded;
};

struct Shape {
  const char* name;
  std::uint32_t bound;
  bool receivers_die;
  std::uint32_t stops;  // in a hundred strikes
};

// Around the limit of what a ring carries, around pages, and all in between.
std::size_t size_of(std::uint32_t series, std::uint32_t number) {
  constexpr std::array<std::size_t, 8> kSizes{16, 40, 100, 3000, 4090, 4097, 8192, 70'000};
  const std::uint32_t hash = (series * 2654435761u) ^ (number * 40503u);
  return hash % 3 != 0 ? kSizes[hash / 3 % kSizes.size()] : hash / 3 % 70'000;
}

void send(const ByteQueue& queue, const RawLock& lock, Book& book, Actor& actor) {
  while (!actor.over()) {
    const std::uint32_t series = book.series_begun++;
    FORKFUL_MUST(series < kMostSeries);
    for (std::uint32_t i = 0; i < kSeriesLength; ++i) {
      while (queue.most_messages() == 0 && queue.size() > kMostWaiting && !actor.over()) {
        // Why: the queue itself never makes a sender wait.
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
      const Put how = test::put(queue, test::make_message(series, i, size_of(series, i)));
      if (how == Put::shut_down) return;
      FORKFUL_MUST(how == Put::sent);
      book.series[series].sent = i + 1;
      actor.step();
      if (i % 16 == 0) go_inside(lock, book.guarded, actor);
    }
  }
}

void note(Book& book, bytes::Bytes message) {
  const auto stamp = test::read_message(message);
  FORKFUL_MUST(stamp);  // a message is whole
  FORKFUL_MUST(stamp->size == std::max(size_of(stamp->sender, stamp->number), sizeof *stamp));
  const std::uint64_t bit = 1ull << (stamp->number % 64);
  auto& word = book.series[stamp->sender].seen[stamp->number / 64];
  FORKFUL_MUST((word.fetch_or(bit) & bit) == 0);  // nothing comes twice
}

void receive(const ByteQueue& queue, const RawLock& lock, Book& book, Actor& actor) {
  for (std::uint32_t i = 0;; ++i) {
    ByteMessage message;
    const Got how = test::get(queue, message);
    if (how == Got::shut_down) return;
    FORKFUL_MUST(how == Got::received);
    note(book, message.bytes());
    actor.step();
    if (i % 16 == 0) go_inside(lock, book.guarded, actor);
  }
}

struct Sums {
  std::uint64_t received = 0;
  std::uint64_t lost = 0;
};

Sums sum_up(const Book& book) {
  Sums sums;
  for (std::uint32_t s = 0; s < book.series_begun; ++s) {
    const Series& series = book.series[s];
    for (std::uint32_t i = 0; i < kSeriesLength; ++i) {
      const bool seen = (series.seen[i / 64] >> (i % 64) & 1) != 0;
      // The one after the last may have been put by a sender that was killed before it said so.
      if (seen && i > series.sent) ADD_FAILURE() << "a message that was never sent";
      sums.received += seen ? 1 : 0;
      sums.lost += !seen && i < series.sent ? 1 : 0;
    }
  }
  return sums;
}

class QueueStorm : public testing::TestWithParam<Shape> {};

TEST_P(QueueStorm, tears_doubles_and_loses_no_message) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "many forks";
  const Shape shape = GetParam();
  auto& book = *static_cast<Book*>(test::shared_memory(sizeof(Book)));
  {
    const ByteQueue first = ByteQueue::create();
  }
  const std::uint64_t used = arena::check_heap();
  ByteQueue queue = ByteQueue::create(shape.bound);
  RawLock lock = RawLock::create(bytes::OnOwnerDeath::recover);
  std::vector<Script> scripts(kSenders, [&](Actor& actor) { send(queue, lock, book, actor); });
  scripts.resize(kSenders + kReceivers, [&](Actor& actor) { receive(queue, lock, book, actor); });

  Cast cast(std::move(scripts));
  Storm storm(std::string("queue ") + shape.name, 300, [&] { return cast.steps(); });
  std::uint64_t receivers_killed = 0;
  while (storm.rages() && !HasFailure()) {
    const bool stop = storm.chance(shape.stops);
    const auto part = storm.draw(stop || shape.receivers_die ? cast.size() : kSenders);
    if (stop) {
      cast.stop(storm, part);
    } else {
      cast.replace(storm, part);
      receivers_killed += part >= kSenders ? 1 : 0;
    }
  }
  cast.call_end();
  queue.shut_down();
  cast.await_end(storm);

  const Sums sums = sum_up(book);
  EXPECT_LE(sums.lost, receivers_killed) << "a receiver takes one message with it at most";
  queue = ByteQueue();
  lock = RawLock();
  expect_flat_heap(used);
  storm.report("received=" + std::to_string(sums.received) + " lost=" + std::to_string(sums.lost) +
               " inside=" + std::to_string(book.guarded.first));
}

INSTANTIATE_TEST_SUITE_P(, QueueStorm,
                         testing::Values(Shape{"bounded_to_64", 64, true, 10},
                                         Shape{"bounded_to_4", 4, true, 10},
                                         Shape{"unbounded", 0, true, 10},
                                         Shape{"where_only_senders_die", 64, false, 10},
                                         Shape{"of_stops_alone", 16, false, 100}),
                         [](const auto& shape) { return std::string(shape.param.name); });

}  // namespace
}  // namespace forkful::chaos
