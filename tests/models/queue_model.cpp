// Queues beside a std::deque each: put, get, claim, shut down, of small records and of blocks, with
// and without a bound. Whoever dies in a put leaves the message in the queue or not, in a get or a
// claim it takes it or not, and never anything else.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "arena/membership.hpp"
#include "arena/shares.hpp"
#include "channel/ring.hpp"
#include "models/cast.hpp"
#include "support/messages.hpp"

namespace forkful::models {
namespace {

using arena::ArenaJournal;
using arena::at;
using base::Offset;
using bytes::ByteQueue;
using channel::Ring;
using channel::RingWords;

constexpr int kOthers = 3;
constexpr std::array<std::uint32_t, 4> kBounds{0, 1, 3, 0};
constexpr std::size_t kMostMessages = 300;
constexpr std::uint32_t kPlaces = 8;

// What a claim notes, as a worker's slot does: words of one commit with the receipt.
struct Claim {
  Offset run;
  std::uint64_t size;
  std::uint64_t number;  // 0: nothing is claimed
};

class QueueModel final : public Model {
 public:
  QueueModel() {
    arena::join_family();
    {
      ArenaJournal journal;
      claims_ = arena::stage_allocate(journal, arena::kPageBytes);
      journal.commit();
    }
    std::memset(at(claims_), 0, kPlaces * sizeof(Claim));
    before_ = arena::check_heap();
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
      queues_.push_back(ByteQueue::create(kBounds[i]));
      models_.emplace_back();
    }
    cast_.emplace(kOthers, [this](const Call& call) { return perform(call); });
  }

  void step(const Operation& operation) override {
    const int who = cast_->member_for(operation);
    const std::size_t queue = operation.which % kBounds.size();
    const std::uint32_t place = operation.which / 16 % kPlaces;
    const std::uint32_t what = operation.what % 200;
    if (what == 0) return shut_down(who, queue, operation.death);
    // Long runs of puts and long runs of gets, so that queues are filled and emptied.
    const bool fills = operation.which / 256 % 4 != 0;
    if (what < 60 || (what < 130 && fills)) {
      if (models_[queue].messages.size() < kMostMessages) {
        return put(who, queue, size_of(operation.size), operation.death);
      }
    }
    if (what < 170) return get(who, queue, operation.death);
    if (taken_[place]) return settle(who, place, operation.death);
    return claim(who, queue, place, operation.death);
  }

  void check() override {
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      const auto& messages = models_[i].messages;
      require_equal(queues_[i].size(), messages.size(), "messages in a queue");
      require_equal(queues_[i].puts(), models_[i].puts, "messages ever put");
      require_equal(queues_[i].full(), kBounds[i] != 0 && messages.size() >= kBounds[i],
                    "whether it is full");
      require_equal(queues_[i].is_shut_down(), models_[i].closed, "whether it is shut down");
    }
    for (std::uint32_t place = 0; place < kPlaces; ++place) {
      const auto& taken = taken_[place];
      require_equal(claim_at(place).number, taken ? taken->number : 0, "what is claimed");
    }
    (void)arena::check_heap();
  }

  void end() override {
    for (std::uint32_t place = 0; place < kPlaces; ++place) {
      if (taken_[place]) settle(0, place, {});
    }
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      while (!models_[i].messages.empty() && i % 2 == 0) get(0, i, {});
    }
    for (int who = 1; who <= kOthers; ++who) {
      cast_->kill(who);
      arena::process_ended(cast_->id_of(who));
    }
    queues_.clear();
    require_equal(arena::check_heap(), before_, "bytes given out when all queues are gone");
  }

 private:
  enum What : std::uint64_t { kPut, kGet, kClaim, kSettle, kShutDown };
  enum How : std::uint64_t { kDone, kNone, kClosed };

  struct Message {
    std::uint64_t number;
    std::uint64_t size;
  };
  struct Queue {
    std::deque<Message> messages;
    std::uint32_t puts = 0;
    bool closed = false;
  };

  // --- the engine ---

  Offset words_at(std::uint32_t place) const { return claims_ + place * sizeof(Claim); }
  Claim& claim_at(std::uint32_t place) const { return at<Claim>(words_at(place)); }

  Ring ring(std::size_t queue) const {
    const Offset words = queues_[queue].id().offset + arena::Held::body_at<RingWords>();
    return {at<RingWords>(words), words};
  }

  Answer perform(const Call& call) {
    const auto queue = static_cast<std::size_t>(call.with[0]);
    const auto place = static_cast<std::uint32_t>(call.with[1]);
    switch (call.what) {
      case kPut: {
        const auto message =
            test::make_message(static_cast<std::uint32_t>(queue),
                               static_cast<std::uint32_t>(call.with[2]), call.with[3]);
        switch (test::put(queues_[queue], message, Deadline::poll())) {
          case ByteQueue::Put::sent:
            return {.words = {kDone}};
          case ByteQueue::Put::timed_out:
            return {.words = {kNone}};
          default:
            return {.words = {kClosed}};
        }
      }
      case kGet: {
        bytes::ByteMessage message;
        switch (test::get(queues_[queue], message, Deadline::poll())) {
          case ByteQueue::Got::received:
            break;
          case ByteQueue::Got::timed_out:
            return {.words = {kNone}};
          default:
            return {.words = {kClosed}};
        }
        const auto stamp = test::read_message(message.bytes()).value();
        require(stamp.sender == queue, "a message of this queue");
        return {.words = {kDone, stamp.number, stamp.size}};
      }
      case kClaim:
        return {.words = {try_claim(queue, place) ? kDone : kNone}};
      case kSettle:
        end_claim(place);
        return {};
      default:
        queues_[queue].shut_down();
        return {};
    }
  }

  bool try_claim(std::size_t queue, std::uint32_t place) {
    bytes::ByteMessage message;
    Ring from = ring(queue);
    const bool claimed = from.try_claim(
        message, [&](arena::Journal& journal, Offset run, std::size_t size, bytes::Bytes inside) {
          const auto whole = run != 0 ? bytes::Bytes(at(run, size), size) : inside;
          const auto stamp = test::read_message(whole).value();
          journal.set(words_at(place) + offsetof(Claim, run), run);
          journal.set(words_at(place) + offsetof(Claim, size), size);
          journal.set(words_at(place) + offsetof(Claim, number), stamp.number);
        });
    if (claimed && kBounds[queue] != 0) from.words().not_full().notify();
    return claimed;
  }

  void end_claim(std::uint32_t place) const {
    {
      const Claim claim = claim_at(place);
      ArenaJournal journal;
      if (claim.run != 0) arena::stage_free(journal, claim.run, arena::run_bytes(claim.run));
      journal.set(words_at(place) + offsetof(Claim, number), 0);
      journal.commit();
    }
    arena::tidy_heap();
  }

  // What the dead had committed and not applied is finished by the next one who takes the lock.
  void finish_commits() const {
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      Ring each = ring(i);
      const arena::Journal gets(each.words().get.journal);
      each.finish_puts();
    }
    (void)arena::check_heap();
  }

  // --- operations ---

  void put(int who, std::size_t queue, std::uint64_t size, const Death& death) {
    Queue& its = models_[queue];
    const Message message{++numbers_, std::max<std::uint64_t>(size, sizeof(test::Stamp))};
    const bool full = kBounds[queue] != 0 && its.messages.size() >= kBounds[queue];
    note("member %d puts message %lu of %lu bytes into queue %zu", who, message.number, size,
         queue);
    const auto answer = ask(who, {kPut, {queue, 0, message.number, message.size}}, death);
    const How expected = its.closed ? kClosed : full ? kNone : kDone;
    if (answer) require_equal(answer->words[0], expected, "what put says");
    const bool is_in = queues_[queue].size() == its.messages.size() + 1;
    if (answer) require(is_in == (expected == kDone), "a message is in the queue when put returns");
    if (is_in) {
      require(expected == kDone, "nothing is sent to a full queue, or one that was shut down");
      its.messages.push_back(message);
      ++its.puts;
    }
    after(who);
  }

  void get(int who, std::size_t queue, const Death& death) {
    Queue& its = models_[queue];
    note("member %d gets from queue %zu", who, queue);
    const auto answer = ask(who, {kGet, {queue}}, death);
    if (its.messages.empty()) {
      if (answer) require_equal(answer->words[0], its.closed ? kClosed : kNone, "what get says");
    } else {
      if (answer) {
        require_equal(answer->words[0], kDone, "what get says");
        require_equal(answer->words[1], its.messages.front().number, "the message got");
        require_equal(answer->words[2], its.messages.front().size, "its size");
      }
      if (answer || queues_[queue].size() < its.messages.size()) its.messages.pop_front();
    }
    after(who);
  }

  void claim(int who, std::size_t queue, std::uint32_t place, const Death& death) {
    Queue& its = models_[queue];
    note("member %d claims from queue %zu for place %u", who, queue, place);
    const auto answer = ask(who, {kClaim, {queue, place}}, death);
    if (its.messages.empty()) {
      if (answer) require_equal(answer->words[0], kNone, "what a claim says");
    } else {
      if (answer) require_equal(answer->words[0], kDone, "what a claim says");
      if (answer || claim_at(place).number != 0) {
        taken_[place] = its.messages.front();
        its.messages.pop_front();
        require_equal(claim_at(place).size, taken_[place]->size, "the size of what is claimed");
      }
    }
    after(who);
  }

  void settle(int who, std::uint32_t place, const Death& death) {
    note("member %d ends the claim at place %u", who, place);
    const auto answer = ask(who, {kSettle, {0, place}}, death);
    if (answer || claim_at(place).number == 0) taken_[place].reset();
    after(who);
  }

  void shut_down(int who, std::size_t queue, const Death& death) {
    note("member %d shuts queue %zu down", who, queue);
    const auto answer = ask(who, {kShutDown, {queue}}, death);
    if (answer || queues_[queue].is_shut_down()) models_[queue].closed = true;
    after(who);
  }

  std::optional<Answer> ask(int who, const Call& call, const Death& death) {
    auto answer = cast_->ask(who, call, death);
    if (!cast_->lives(who)) finish_commits();
    return answer;
  }

  void after(int who) {
    if (cast_->lives(who)) return;
    arena::process_ended(cast_->id_of(who));
    cast_->replace(who);
  }

  // Records of a few words and of some KiB, blocks of a few pages, and large ones now and then.
  static std::uint64_t size_of(std::uint32_t size) {
    const std::uint64_t some = size / 256;
    switch (size % 256 < 120 ? 0 : size % 256 < 170 ? 1 : size % 256 < 255 ? 2 : 3) {
      case 0:
        return sizeof(test::Stamp) + some % 400;
      case 1:
        return sizeof(test::Stamp) + some % (bytes::kInlineBytes - sizeof(test::Stamp) + 1);
      case 2:
        return bytes::kInlineBytes + 1 + some % 20'000;
      default:
        return (1 << 20) + some % (1 << 21);
    }
  }

  Offset claims_ = 0;
  std::uint64_t before_ = 0;
  std::vector<ByteQueue> queues_;
  std::optional<Cast> cast_;
  std::vector<Queue> models_;
  std::array<std::optional<Message>, kPlaces> taken_{};
  std::uint64_t numbers_ = 0;
};

TEST(Models, a_queue_is_as_a_deque) {
  play({"queue",
        [] { return std::make_unique<QueueModel>(); },
        {"queue.put.reserved", "queue.put.committed", "queue.get.looked", "queue.get.copied",
         "queue.get.committed", "message.writing", "message.written", "journal.staged",
         "journal.committed", "journal.applying", "journal.applying"}});
}

}  // namespace
}  // namespace forkful::models
