// Who holds what, beside a table of objects with their holders: members, messages in queues, and
// parcels. Each member's list of holdings and each object's count are compared after each step, and
// every byte is accounted for, so a share that is lost or given back twice shows at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/queue.hpp>
#include <forkful/errors.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "arena/membership.hpp"
#include "arena/shares.hpp"
#include "channel/ring.hpp"
#include "models/cast.hpp"
#include "models/holder.hpp"

namespace forkful::models {
namespace {

using arena::at;
using arena::kPageBytes;
using bytes::Shared;
using channel::RingWords;

constexpr int kOthers = 3;
constexpr std::size_t kMostObjects = 60;
constexpr std::size_t kMostMessages = 12;  // which fit into the first segment of a queue
constexpr std::size_t kMostStale = 50;
constexpr std::uint64_t kSegmentBytes = 16384;

class HoldingsModel final : public Model {
 public:
  HoldingsModel() {
    arena::join_family();
    cast_.emplace(kOthers, [this](const Call& call) { return holder_.perform(call); });
  }

  void step(const Operation& operation) override {
    const bool dies = operation.death.how != Death::How::none;
    const int who = cast_->member_for(operation);
    const std::uint32_t which = operation.which;
    const std::uint32_t size = operation.size;
    const Death& death = operation.death;
    switch (dies && operation.what % 20 == 6 ? 5 : operation.what % 20) {
      case 0:
      case 1:
      case 2:
        if (objects_.size() < kMostObjects) return create(who, which, size, death);
        return drop(who, which, death);
      case 3:
      case 4:
      case 5:
        return adopt(who, which, death);
      case 6:
        return adopt_stale(who, which);
      case 7:
      case 8:
      case 9:
      case 10:
        return drop(who, which, death);
      case 11:
      case 12:
      case 13:
        return send(who, which, size, death);
      case 14:
      case 15:
        return receive(who, which, size % 3 != 0, death);
      case 16:
        return make_parcel(who, which, death);
      case 17:
        return pin_parcel(who, which, death);
      case 18:
        return end_parcel(who, which, death);
      default:
        return invite(who, which, death);
    }
  }

  void check() override {
    std::uint64_t all = 0;
    for (int who = 0; who <= kOthers; ++who) all += check_member(who);
    for (const auto& [serial, object] : objects_) all += check_object(serial, object);
    require_equal(arena::check_heap(), all, "bytes given out");
    require_equal(arena::header().dying, 0, "objects that nobody holds and nobody has freed");
  }

  // All members go but this one; what is left then lies in queues that hold each other.
  void end() override {
    for (int who = 1; who <= kOthers; ++who) {
      cast_->kill(who);
      arena::process_ended(cast_->id_of(who));
      forget_member(who);
      cast_->replace(who);
      // The new one has what this process has.
      born(who);
    }
    check();
  }

 private:
  struct Message {
    std::uint64_t number;
    std::uint64_t bytes;  // of its block; 0: it is in the ring
    std::uint64_t cargo;  // bytes of it
    std::vector<Serial> holds;
  };
  struct Object {
    Name name;
    std::uint64_t bytes;
    std::set<int> members;
    std::uint64_t others = 0;  // messages and parcels that hold it
    bool pinned = false;
    std::deque<Message> messages;  // of a queue
    std::vector<Serial> holds;     // of a parcel
  };

  // --- comparing ---

  // Returns what the member's list costs.
  std::uint64_t check_member(int who) const {
    const Offset list = arena::member(cast_->id_of(who)).holdings;
    const std::uint64_t capacity = arena::holdings_capacity(list);
    std::multiset<Offset> held;
    for (std::uint64_t i = 0; i < capacity; ++i) {
      if (const Offset object = at<Offset>(arena::holding_at(list, i))) held.insert(object);
    }
    std::multiset<Offset> model;
    for (const auto& [serial, object] : objects_) {
      if (object.members.contains(who)) model.insert(object.name.offset);
    }
    require(held == model, "member " + std::to_string(who) + " holds in its list of " +
                               std::to_string(held.size()) + " what it holds in the model, " +
                               std::to_string(model.size()));
    return cost_of(arena::holdings_bytes(capacity));
  }

  // Returns what the object costs, with all that lies in it.
  std::uint64_t check_object(Serial serial, const Object& object) const {
    constexpr std::uint64_t kPinned = std::uint64_t{1} << 32;
    const auto& head = at<arena::ObjectHeader>(object.name.offset);
    require_equal(arena::serial_in(head.kind_and_serial), serial, "an object's serial");
    require_equal(head.holders,
                  object.members.size() + object.others + (object.pinned ? kPinned : 0),
                  "who holds an object");
    require_equal(head.bytes, object.bytes, "an object's bytes");
    std::uint64_t cost = cost_of(object.bytes);
    if (object.name.sort != Sort::queue) return cost;
    const auto& ring = at<RingWords>(object.name.offset + arena::Held::body_at<RingWords>());
    require_equal(size_of(object), object.messages.size(), "messages in a queue");
    if (ring.put.segment != 0) cost += kSegmentBytes;
    for (const Message& each : object.messages) {
      if (each.bytes != 0) cost += base::round_up(each.bytes, kPageBytes);
      if (each.cargo != 0) cost += cost_of(each.cargo);
    }
    return cost;
  }

  static std::uint32_t size_of(const Object& queue) {
    const Offset words = queue.name.offset + arena::Held::body_at<RingWords>();
    return channel::Ring(at<RingWords>(words), words).size();
  }

  // --- operations ---

  void create(int who, std::uint32_t which, std::uint32_t size, const Death& death) {
    const bool is_queue = which % 4 == 0;
    const std::uint64_t bytes = is_queue ? 0 : 1 + size % (which % 16 == 1 ? 2 << 20 : 9000);
    note("member %d makes a %s of %lu bytes", who, is_queue ? "queue" : "cell", bytes);
    const auto answer = ask(who, {Holder::kCreate, {bytes}}, death);
    if (answer) enter(who, is_queue ? Sort::queue : Sort::cell, *answer);
    after(who);
  }

  void adopt(int who, std::uint32_t which, const Death& death) {
    const Object* object =
        any([](const Object& each) { return each.name.sort != Sort::parcel; }, which);
    if (object == nullptr) return create(who, which, which, death);
    const Name name = object->name;
    note("member %d adopts object %lu", who, name.serial);
    const auto answer = ask(
        who, {Holder::kAdopt, {static_cast<std::uint64_t>(name.sort), name.offset, name.serial}},
        death);
    if (answer) require(!answer->refused, "what somebody holds can be adopted");
    if (answer) objects_.at(name.serial).members.insert(who);
    after(who);
  }

  void adopt_stale(int who, std::uint32_t which) {
    if (stale_.empty()) return;
    const Name& name = stale_[which % stale_.size()];
    note("member %d adopts object %lu, which is gone", who, name.serial);
    const auto answer = ask(
        who, {Holder::kAdopt, {static_cast<std::uint64_t>(name.sort), name.offset, name.serial}},
        {});
    require(answer->refused, "what nobody holds any more cannot be adopted");
  }

  void drop(int who, std::uint32_t which, const Death& death) {
    const Object* object = any(held_by(who), which);
    if (object == nullptr) return create(who, which, which, death);
    const Serial serial = object->name.serial;
    note("member %d drops object %lu", who, serial);
    (void)ask(who, {Holder::kDrop, {serial}}, death);
    release(serial, who);
    after(who);
  }

  void send(int who, std::uint32_t which, std::uint32_t size, const Death& death) {
    Object* const to = any(held_by(who, Sort::queue), which);
    if (to == nullptr || to->messages.size() >= kMostMessages) return drop(who, which, death);
    const Serial serial = to->name.serial;
    const std::vector<Object*> named = some(who, which / 64, size % (kMostNames + 1));
    const std::uint64_t bytes =
        std::max<std::uint64_t>(sizeof(Letter), size % 5 == 0 ? size % 30'000 : size % 300);
    Message message{++numbers_, 0, 0, {}};
    Call call{Holder::kSend, {serial, message.number, bytes}};
    for (std::size_t i = 0; i < named.size(); ++i) {
      call.with[3 + i] = named[i]->name.serial;
      call.with[6 + i] = static_cast<std::uint64_t>(named[i]->name.sort);
      // A queue is not held by what lies in it.
      if (named[i] != to) message.holds.push_back(named[i]->name.serial);
    }
    if (bytes > bytes::kInlineBytes || !message.holds.empty()) {
      message.bytes = bytes + (named.empty() ? 0 : arena::kRunEntryBytes);
    }
    if (!message.holds.empty()) {
      message.cargo = sizeof(arena::ObjectHeader) + (message.holds.size() + 1) * sizeof(Offset);
    }
    note("member %d sends message %lu of %lu bytes through queue %lu, naming %zu", who,
         message.number, bytes, serial, named.size());
    const auto answer = ask(who, call, death);
    if (answer) require(!answer->refused, "it is sent");
    if (answer || size_of(*to) > to->messages.size()) {
      for (const Serial each : message.holds) ++objects_.at(each).others;
      to->messages.push_back(std::move(message));
    }
    after(who);
  }

  void receive(int who, std::uint32_t which, bool adopts, const Death& death) {
    Object* const from = any(held_by(who, Sort::queue), which);
    if (from == nullptr) return create(who, which, which, death);
    const Serial serial = from->name.serial;
    note("member %d receives from queue %lu%s", who, serial, adopts ? " and adopts" : "");
    const auto answer = ask(who, {Holder::kReceive, {serial, adopts ? 1U : 0U}}, death);
    if (from->messages.empty()) {
      if (answer) require(answer->refused, "nothing comes from an empty queue");
    } else if (answer || size_of(*from) < from->messages.size()) {
      const Message message = std::move(from->messages.front());
      from->messages.pop_front();
      if (answer) require_equal(answer->words[0], message.number, "the message received");
      for (const Serial each : message.holds) {
        if (answer && adopts) objects_.at(each).members.insert(who);
      }
      for (const Serial each : message.holds) release_other(each);
    }
    after(who);
  }

  void make_parcel(int who, std::uint32_t which, const Death& death) {
    const std::vector<Object*> named = some(who, which, 1 + which % kMostNames);
    if (named.empty() || objects_.size() >= kMostObjects) return drop(who, which, death);
    Call call{Holder::kMakeParcel, {}};
    std::vector<Serial> holds;
    for (std::size_t i = 0; i < named.size(); ++i) {
      holds.push_back(call.with[i] = named[i]->name.serial);
    }
    note("member %d makes a parcel of %zu", who, holds.size());
    const auto answer = ask(who, call, death);
    if (answer) {
      for (const Serial each : holds) ++objects_.at(each).others;
      enter(who, Sort::parcel, *answer).holds = holds;
    }
    after(who);
  }

  void pin_parcel(int who, std::uint32_t which, const Death& death) {
    Object* const parcel = any(held_by(who, Sort::parcel), which);
    if (parcel == nullptr) return create(who, which, which, death);
    note("member %d sends parcel %lu", who, parcel->name.serial);
    (void)ask(who, {Holder::kPinParcel, {parcel->name.serial}}, death);
    if (cast_->lives(who) || is_pinned(*parcel)) parcel->pinned = true;
    after(who);
  }

  void end_parcel(int who, std::uint32_t which, const Death& death) {
    Object* const parcel = any([](const Object& each) { return each.pinned; }, which);
    if (parcel == nullptr) return create(who, which, which, death);
    const Name name = parcel->name;
    note("member %d has received parcel %lu", who, name.serial);
    (void)ask(who, {Holder::kEndParcel, {0, name.offset, name.serial}}, death);
    if (cast_->lives(who) || !is_pinned(*parcel)) {
      parcel->pinned = false;
      free_if_nobodys(name.serial);
    }
    after(who);
  }

  // A place for a child, with shares, that is taken back: what a start that fails leaves.
  void invite(int who, std::uint32_t which, const Death& death) {
    const std::vector<Object*> named = some(who, which, 1 + which % kMostNames);
    Call call{Holder::kInvite, {}};
    for (std::size_t i = 0; i < named.size(); ++i) call.with[i] = named[i]->name.serial;
    note("member %d invites a child and takes that back", who);
    (void)ask(who, call, death);
    after(who);
  }

  std::optional<Answer> ask(int who, const Call& call, const Death& death) {
    auto answer = cast_->ask(who, call, death);
    // What a dead member had committed shows once somebody has had the lock.
    if (!cast_->lives(who)) (void)arena::check_heap();
    return answer;
  }

  void after(int who) {
    if (cast_->lives(who)) return;
    const auto id = cast_->id_of(who);
    // What it had begun to start is nobody's; a sweep would wait for it for a while.
    for (const auto child : arena::children_of(id)) {
      if (!arena::withdraw_member(child)) arena::process_ended(child);
    }
    arena::process_ended(id);
    forget_member(who);
    cast_->replace(who);
    born(who);
  }

  // --- the model ---

  Object& enter(int who, Sort sort, const Answer& answer) {
    const Name name{sort, answer.words[0], answer.words[1]};
    Object& object = objects_[name.serial];
    object.name = name;
    object.bytes = at<arena::ObjectHeader>(name.offset).bytes;
    object.members.insert(who);
    return object;
  }

  static bool is_pinned(const Object& object) {
    const auto& head = at<arena::ObjectHeader>(object.name.offset);
    return arena::serial_in(head.kind_and_serial) == object.name.serial && head.holders >> 32 != 0;
  }

  void free_if_nobodys(Serial serial) {
    const Object& object = objects_.at(serial);
    if (!object.members.empty() || object.others != 0 || object.pinned) return;
    std::vector<Serial> held = object.holds;
    for (const Message& each : object.messages) {
      held.insert(held.end(), each.holds.begin(), each.holds.end());
    }
    stale_.push_back(object.name);
    if (stale_.size() > kMostStale) stale_.pop_front();
    objects_.erase(serial);
    for (const Serial each : held) release_other(each);
  }
  void release(Serial serial, int who) {
    objects_.at(serial).members.erase(who);
    free_if_nobodys(serial);
  }
  void release_other(Serial serial) {
    --objects_.at(serial).others;
    free_if_nobodys(serial);
  }
  void forget_member(int who) {
    std::vector<Serial> its;
    for (const auto& [serial, object] : objects_) {
      if (object.members.contains(who)) its.push_back(serial);
    }
    for (const Serial each : its) release(each, who);
  }
  // A fork has a share in all that its parent has.
  void born(int who) {
    for (auto& [serial, object] : objects_) {
      if (object.members.contains(0)) object.members.insert(who);
    }
  }

  using Is = std::function<bool(const Object& object)>;
  static Is held_by(int who) {
    return [who](const Object& each) { return each.members.contains(who); };
  }
  static Is held_by(int who, Sort sort) {
    return [=](const Object& each) { return each.members.contains(who) && each.name.sort == sort; };
  }
  Object* any(const Is& is, std::uint32_t which) {
    std::vector<Object*> those;
    for (auto& [serial, object] : objects_) {
      if (is(object)) those.push_back(&object);
    }
    return those.empty() ? nullptr : those[which % those.size()];
  }
  // Cells and queues that the member holds; one may come twice.
  std::vector<Object*> some(int who, std::uint32_t which, std::size_t count) {
    std::vector<Object*> those;
    for (std::size_t i = 0; i < count; ++i) {
      const auto is = [&](const Object& each) {
        return each.members.contains(who) && each.name.sort != Sort::parcel;
      };
      if (Object* const one = any(is, which >> (3 * i))) those.push_back(one);
    }
    return those;
  }

  Holder holder_;
  std::optional<Cast> cast_;
  std::map<Serial, Object> objects_;
  std::deque<Name> stale_;
  std::uint64_t numbers_ = 0;
};

TEST(Models, holdings_are_as_a_table_of_objects_and_holders) {
  play({"holdings",
        [] { return std::make_unique<HoldingsModel>(); },
        {"journal.staged", "journal.committed", "journal.applying", "journal.applying",
         "cargo.loading", "objects.burying", "members.reaping", "message.written",
         "queue.put.committed", "queue.get.committed"}});
}

}  // namespace
}  // namespace forkful::models
