// Two senders and two receivers at one queue at the same time, each of whom may be killed and
// replaced: no message comes twice, those of one sender come in order, what was sent is received,
// and nothing that was refused is. What a dead receiver had taken is lost with it, one message at
// most; where receipts are claims, nothing is.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "arena/membership.hpp"
#include "arena/shares.hpp"
#include "channel/ring.hpp"
#include "models/play.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"

namespace forkful::models {
namespace {

using base::Offset;
using bytes::ByteQueue;
using channel::Ring;
using channel::RingWords;
using test::Child;

constexpr int kSenders = 2;
constexpr int kReceivers = 2;
constexpr std::uint32_t kEach = 200;  // messages of a sender
constexpr long kMessages = kSenders * kEach;

// What they write down as they go, in memory that is not the arena's.
struct Sender {
  std::atomic<std::uint32_t> begun;  // the number of the message that it puts, or has put
  std::atomic<std::uint32_t> sent;
};
struct Receiver {
  std::atomic<std::uint32_t> got;
  std::atomic<std::uint64_t> items[kMessages];
};
struct Log {
  std::array<Sender, kSenders> senders;
  std::array<Receiver, kReceivers> receivers;
};

// A message: its sender and its number.
constexpr std::uint64_t item_of(std::uint64_t sender, std::uint64_t number) {
  return sender << 32 | number;
}

class TrafficModel final : public Model {
 public:
  explicit TrafficModel(const std::vector<kernel::FaultPoint>& points)
      : points_(points), log_(test::shared<Log>()) {
    arena::join_family();
    {
      arena::ArenaJournal journal;
      claims_ = arena::stage_allocate(journal, arena::kPageBytes);
      journal.commit();
    }
    before_ = arena::check_heap();
  }

  void step(const Operation& operation) override {
    constexpr std::array<std::uint32_t, 4> kBounds{0, 1, 5, 100};
    random_.seed(operation.what);
    deaths_left_ = operation.deaths;
    by_claims_ = pick(3) == 0;
    largest_ = pick(2) == 0 ? 300 : 12'000;
    const std::uint32_t bound = kBounds[pick(kBounds.size())];
    const std::uint32_t closes_at = pick(4) == 0 ? pick(kMessages) : kMessages + 1;
    note("a bound of %u, up to %u bytes, %s, %d deaths, shut down at %u\n", bound, largest_,
         by_claims_ ? "by claims" : "by gets", deaths_left_, closes_at);
    begin(bound);
    while (!run_a_while(closes_at)) {
    }
    compare();
    queue_ = ByteQueue();
  }

  void check() override {
    require_equal(arena::check_heap(), before_, "bytes given out when the queue is gone");
  }
  void end() override {}

 private:
  struct Player {
    std::optional<Child> child;
    std::vector<std::uint32_t> begins;  // of a receiver: how many were got when it was replaced
    bool refused = false;               // of a sender: it was told that the queue is shut down
  };

  // --- those who run ---

  void send(int sender) {
    Sender& its = log_.senders[static_cast<std::size_t>(sender)];
    Random sizes(its.begun + 1);
    for (std::uint32_t number = its.begun + 1; number <= kEach; ++number) {
      const auto message =
          test::make_message(static_cast<std::uint32_t>(sender), number, sizes() % largest_);
      its.begun = number;
      if (test::put(queue_, message) != ByteQueue::Put::sent) return;
      its.sent = number;
    }
  }

  void receive(int receiver) {
    bytes::ByteMessage message;
    while (test::get(queue_, message) == ByteQueue::Got::received) {
      const auto stamp = test::read_message(message.bytes());
      test::must(stamp.has_value(), "a message is whole");
      write_down(receiver, item_of(stamp->sender, stamp->number));
    }
  }

  // As a pool's worker: the receipt is noted in its slot by the same commit.
  void receive_by_claims(int receiver) {
    const Offset words = queue_.id().offset + arena::Held::body_at<RingWords>();
    Ring ring(arena::at<RingWords>(words), words);
    bytes::ByteMessage message;
    for (;;) {
      const bool closed = queue_.is_shut_down();
      if (!ring.try_claim(message, [&](arena::Journal& journal, Offset run, std::size_t size,
                                       bytes::Bytes inside) {
            const auto stamp =
                test::read_message(run != 0 ? bytes::Bytes(arena::at(run, size), size) : inside);
            test::must(stamp.has_value(), "a message is whole");
            journal.set(claim_of(receiver), item_of(stamp->sender, stamp->number));
            journal.set(claim_of(receiver) + sizeof(Offset), run);
          })) {
        if (closed) return;
        ::sched_yield();
        continue;
      }
      ring.words().not_full().notify();
      write_down(receiver, arena::at<std::uint64_t>(claim_of(receiver)));
      end_claim(receiver);
    }
  }

  void write_down(int receiver, std::uint64_t item) {
    Receiver& its = log_.receivers[static_cast<std::size_t>(receiver)];
    test::must(its.got < kMessages, "no more are received than were sent");
    its.items[its.got] = item;
    ++its.got;
  }

  [[nodiscard]] Offset claim_of(int receiver) const {
    return claims_ + static_cast<Offset>(receiver) * base::kCacheLine;
  }
  void end_claim(int receiver) const {
    {
      arena::ArenaJournal journal;
      const Offset run = journal.get(claim_of(receiver) + sizeof(Offset));
      if (run != 0) arena::stage_free(journal, run, arena::run_bytes(run));
      journal.set(claim_of(receiver), 0);
      journal.commit();
    }
    arena::tidy_heap();
  }

  // --- whoever looks after them ---

  std::uint32_t pick(std::size_t below) { return random_() % static_cast<std::uint32_t>(below); }

  void begin(std::uint32_t bound) {
    for (Sender& each : log_.senders) each.begun = each.sent = 0;
    for (Receiver& each : log_.receivers) each.got = 0;
    std::memset(arena::at(claims_), 0, arena::kPageBytes);
    queue_ = ByteQueue::create(bound);
    perhaps_.clear();
    lost_ = 0;
    kill_at_ = pick(kMessages);
    for (int who = 0; who < kSenders + kReceivers; ++who) {
      players_[static_cast<std::size_t>(who)] = {};
      start(who);
    }
  }

  void start(int who) {
    Player& player = players_[static_cast<std::size_t>(who)];
    // Some die at a point, if they come so far; some when this process says so.
    const bool by_itself = deaths_left_ > 0 && pick(2) == 0;
    const kernel::FaultPoint point = points_[pick(points_.size())];
    const int pass = 1 + static_cast<int>(pick(kEach / 2));
    player.child = test::fork_child([&] {
      if (by_itself) test::die_at(point, pass);
      if (who < kSenders) {
        send(who);
      } else if (by_claims_) {
        receive_by_claims(who - kSenders);
      } else {
        receive(who - kSenders);
      }
    });
  }

  [[nodiscard]] std::uint32_t progress() const {
    std::uint32_t all = 0;
    for (const Sender& each : log_.senders) all += each.begun;
    return all;
  }

  // True when all have ended.
  bool run_a_while(std::uint32_t closes_at) {
    if (deaths_left_ > 0 && progress() >= kill_at_) {
      kill_at_ = progress() + pick(kMessages / 4);
      const Player& victim = players_[pick(players_.size())];
      if (victim.child) victim.child->signal(SIGKILL);
    }
    bool sends = false;
    bool any = false;
    for (int who = 0; who < kSenders + kReceivers; ++who) {
      Player& player = players_[static_cast<std::size_t>(who)];
      if (player.child && player.child->has_ended()) note_end(who, player.child->wait());
      any = any || player.child;
      sends = sends || (player.child && who < kSenders);
    }
    if ((!sends || progress() >= closes_at) && !queue_.is_shut_down()) queue_.shut_down();
    // Why: a poll of what other processes do; nothing notifies of it.
    if (any) ::usleep(100);
    return !any;
  }

  void note_end(int who, int code) {
    Player& player = players_[static_cast<std::size_t>(who)];
    player.child.reset();
    require(code == 0 || code == -SIGKILL,
            "it ends, or is killed, and not: " + std::to_string(code));
    const bool died = code != 0;
    if (who < kSenders) {
      const Sender& its = log_.senders[static_cast<std::size_t>(who)];
      if (died && its.begun != its.sent) {
        perhaps_.insert(item_of(static_cast<std::uint64_t>(who), its.begun));
      }
      player.refused = !died && its.begun != its.sent;
    } else if (by_claims_) {
      finish_claim(who - kSenders);
    } else if (died) {
      ++lost_;
    }
    if (!died) return;
    count_death(true);
    --deaths_left_;
    player.begins.push_back(
        who < kSenders ? 0 : log_.receivers[static_cast<std::size_t>(who - kSenders)].got.load());
    note("player %d dies\n", who);
    start(who);
  }

  // What a dead one had claimed: it may have written that down.
  void finish_claim(int receiver) {
    {
      const Offset words = queue_.id().offset + arena::Held::body_at<RingWords>();
      const arena::Journal finished(arena::at<RingWords>(words).get.journal);
    }
    const std::uint64_t item = arena::at<std::uint64_t>(claim_of(receiver));
    if (item == 0) return;
    const Receiver& its = log_.receivers[static_cast<std::size_t>(receiver)];
    if (its.got == 0 || its.items[its.got - 1] != item) write_down(receiver, item);
    end_claim(receiver);
  }

  // --- comparing ---

  void compare() const {
    std::set<std::uint64_t> received;
    for (std::size_t i = 0; i < kReceivers; ++i) {
      const Receiver& its = log_.receivers[i];
      const auto& begins = players_[i + kSenders].begins;
      std::array<std::uint64_t, kSenders> last{};
      for (std::uint32_t at = 0; at < its.got; ++at) {
        if (std::find(begins.begin(), begins.end(), at) != begins.end()) last = {};
        const std::uint64_t item = its.items[at];
        const std::uint64_t sender = item >> 32;
        require(sender < kSenders && item > last[sender], "those of one sender come in order");
        last[sender] = item;
        require(received.insert(item).second, "no message comes twice");
      }
    }
    std::uint32_t missing = 0;
    for (std::uint64_t sender = 0; sender < kSenders; ++sender) {
      const Sender& its = log_.senders[sender];
      for (std::uint64_t number = 1; number <= its.begun; ++number) {
        const std::uint64_t item = item_of(sender, number);
        const bool refused = players_[sender].refused && number == its.begun;
        const bool came = received.erase(item) != 0;
        if (refused) require(!came, "what was refused is not received");
        if (!came && !refused && !perhaps_.contains(item)) ++missing;
      }
    }
    require(received.empty(), "what is received was sent");
    require(missing <= lost_, "of what was sent " + std::to_string(missing) +
                                  " messages are missing, and receivers that died took " +
                                  std::to_string(lost_) + " at most");
    require_equal(queue_.size(), 0, "messages left");
  }

  std::vector<kernel::FaultPoint> points_;
  Log& log_;
  Random random_;
  Offset claims_ = 0;
  std::uint64_t before_ = 0;
  ByteQueue queue_;
  bool by_claims_ = false;
  std::uint32_t largest_ = 0;
  int deaths_left_ = 0;
  std::uint32_t kill_at_ = 0;
  std::array<Player, kSenders + kReceivers> players_;
  std::set<std::uint64_t> perhaps_;  // what a dead sender may have sent
  std::uint32_t lost_ = 0;           // what dead receivers may have taken
};

TEST(Models, of_what_two_send_two_receive_each_message_once) {
  const std::vector<kernel::FaultPoint> points{
      "queue.put.reserved", "queue.put.committed", "queue.get.looked",
      "queue.get.copied",   "queue.get.committed", "message.written",
      "journal.staged",     "journal.committed",   "journal.applying"};
  play({"traffic", [&] { return std::make_unique<TrafficModel>(points); }, points, kMessages});
}

}  // namespace
}  // namespace forkful::models
