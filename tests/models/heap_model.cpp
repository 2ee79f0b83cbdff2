// The heap beside a map of what was given out: nothing overlaps, nothing is written over, what a
// dead member had is given back and nothing else, and every byte is accounted for after each step.
//
// Runs belong to the member that has allocated or taken them. What is in the table, a run of words
// that all members know, is the family's; a change of it and of the heap are one commit.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "models/cast.hpp"

namespace forkful::models {
namespace {

using arena::ArenaJournal;
using arena::at;
using arena::kPageBytes;
using base::Offset;

constexpr int kOthers = 3;
constexpr int kFamily = -1;  // the owner of what is in the table
constexpr std::uint32_t kPlaces = 40;
constexpr std::uint64_t kTableBytes = kPageBytes;
constexpr std::size_t kMostBlocks = 90;

class HeapModel final : public Model {
 public:
  HeapModel() {
    // What is free on this machine must not matter.
    arena::read_limits_by(
        [] { return kernel::MemoryLimits{kernel::kNoLimit, kernel::kNoLimit, kernel::kNoLimit}; });
    arena::join_family();
    {
      ArenaJournal journal;
      table_ = arena::stage_allocate(journal, kTableBytes);
      journal.commit();
    }
    std::memset(at(table_), 0, kPlaces * sizeof(Offset));
    cast_.emplace(kOthers, [this](const Call& call) { return perform(call); });
    others_ = arena::check_heap();
  }

  void step(const Operation& operation) override {
    const int who = cast_->member_for(operation);
    const auto place = operation.which % kPlaces;
    switch (operation.what % 6) {
      case 0:
      case 1:
        if (blocks_.size() < kMostBlocks && operation.what % 12 < 10) {
          return allocate(who, bytes_of_run(operation.size), operation.death);
        }
        return free(who, operation.which, operation.death);
      case 2:
        return free(who, operation.which, operation.death);
      case 3:
        if (table_at(place) == 0) return publish(who, operation.which, place, operation.death);
        return take(who, place, operation.death);
      default:
        if (table_at(place) == 0) {
          const std::uint64_t bytes = operation.size % 4 == 0 ? bytes_of_run(operation.size / 4)
                                                              : 16 + operation.size % 2030;
          return allocate_at(who, bytes, place, operation.death);
        }
        return free_at(who, place, operation.death);
    }
  }

  void check() override {
    arena::tidy_heap();
    std::uint64_t all = others_;
    for (const auto& [where, block] : blocks_) {
      all += cost_of(block.bytes);
      require(stamp_at(where) == block.stamp && stamp_at(last_word(where, block)) == block.stamp,
              "what was written into a block is there");
      require(arena::is_allocated(where, block.bytes), "a block that was given out is one");
    }
    for (std::uint32_t place = 0; place < kPlaces; ++place) {
      const auto found = places_.find(place);
      require_equal(table_at(place), found != places_.end() ? found->second : 0, "a place");
    }
    require_equal(arena::check_heap(), all, "bytes given out");
  }

  void end() override {
    for (int who = 1; who <= kOthers; ++who) {
      cast_->kill(who);
      arena::process_ended(cast_->id_of(who));
      forget_blocks_of(who);
      others_ -= cost_of(arena::holdings_bytes(arena::kFirstHoldings));
    }
    while (!blocks_.empty()) {
      const auto [where, block] = *blocks_.begin();
      if (block.owner == kFamily) {
        free_at(0, place_of(where), {});
      } else {
        free_block(0, where, {});
      }
    }
    check();
  }

 private:
  enum What : std::uint64_t { kAllocate, kFree, kPublish, kTake, kAllocateAt, kFreeAt };

  struct Block {
    std::uint64_t bytes;
    int owner;
    std::uint64_t stamp;
  };

  // --- the engine ---

  Offset word_at(std::uint64_t place) const { return table_ + place * sizeof(Offset); }
  Offset table_at(std::uint64_t place) const { return at<Offset>(word_at(place)); }

  Answer perform(const Call& call) const {
    const Offset where = call.with[0];
    const std::uint64_t bytes = call.with[1];
    const std::uint64_t place = call.with[2];
    switch (call.what) {
      case kAllocate:
        return {.words = {arena::allocate_run(bytes)}};
      case kFree:
        arena::free_run(where);
        return {};
      case kPublish:
      case kTake: {
        const bool publishes = call.what == kPublish;
        ArenaJournal journal;
        arena::stage_owner(journal, where, publishes ? arena::kFamilyOwned : sync::self().bits);
        journal.set(word_at(place), publishes ? where : 0);
        journal.commit();
        return {};
      }
      case kAllocateAt: {
        ArenaJournal journal;
        const Offset got = arena::stage_allocate(journal, bytes);
        journal.set(word_at(place), got);
        journal.commit();
        return {.words = {got}};
      }
      default: {
        {
          ArenaJournal journal;
          arena::stage_free(journal, where, bytes);
          journal.set(word_at(place), 0);
          journal.commit();
        }
        arena::tidy_heap();
        return {};
      }
    }
  }

  // --- operations ---

  void allocate(int who, std::uint64_t bytes, const Death& death) {
    note("member %d allocates %lu bytes", who, bytes);
    const auto answer = cast_->ask(who, {kAllocate, {0, bytes}}, death);
    if (answer && cast_->lives(who)) give(answer->words[0], bytes, who);
    after(who);
  }

  void free(int who, std::uint32_t which, const Death& death) {
    const auto where = one_of(who, which);
    if (!where) return allocate(who, bytes_of_run(which), death);
    free_block(who, *where, death);
  }

  void free_block(int who, Offset where, const Death& death) {
    note("member %d frees %lx", who, where);
    (void)cast_->ask(who, {kFree, {where}}, death);
    blocks_.erase(where);  // it goes with the member, if it is not free yet
    after(who);
  }

  void publish(int who, std::uint32_t which, std::uint32_t place, const Death& death) {
    const auto where = one_of(who, which);
    if (!where) return allocate(who, bytes_of_run(which), death);
    note("member %d enters %lx at %u", who, *where, place);
    (void)cast_->ask(who, {kPublish, {*where, 0, place}}, death);
    if (is_done(who, [&] { return table_at(place) == *where; })) {
      blocks_.at(*where).owner = kFamily;
      places_[place] = *where;
    }
    after(who);
  }

  void take(int who, std::uint32_t place, const Death& death) {
    const Offset where = places_.at(place);
    if (blocks_.at(where).bytes <= kLargestSmallBlock) return free_at(who, place, death);
    note("member %d takes %lx from %u", who, where, place);
    (void)cast_->ask(who, {kTake, {where, 0, place}}, death);
    if (is_done(who, [&] { return table_at(place) == 0; })) {
      blocks_.at(where).owner = who;
      places_.erase(place);
    }
    after(who);
  }

  void allocate_at(int who, std::uint64_t bytes, std::uint32_t place, const Death& death) {
    note("member %d allocates %lu bytes at %u", who, bytes, place);
    (void)cast_->ask(who, {kAllocateAt, {0, bytes, place}}, death);
    if (is_done(who, [&] { return table_at(place) != 0; })) {
      give(table_at(place), bytes, kFamily);
      places_[place] = table_at(place);
    }
    after(who);
  }

  void free_at(int who, std::uint32_t place, const Death& death) {
    const Offset where = places_.at(place);
    note("member %d frees %lx, which is at %u", who, where, place);
    (void)cast_->ask(who, {kFreeAt, {where, blocks_.at(where).bytes, place}}, death);
    if (is_done(who, [&] { return table_at(place) == 0; })) {
      blocks_.erase(where);
      places_.erase(place);
    }
    after(who);
  }

  // Whether an operation that was one commit was made. The next one who locks the heap finishes
  // what a dead one had committed.
  template <class Shows>
  bool is_done(int who, Shows&& shows) const {
    if (cast_->lives(who)) {
      require(shows(), "what a member has done shows");
      return true;
    }
    arena::check_heap();
    return shows();
  }

  // Another member, or this one, gives back what a dead one had.
  void after(int who) {
    if (cast_->lives(who)) return;
    arena::check_heap();
    arena::process_ended(cast_->id_of(who));
    forget_blocks_of(who);
    cast_->replace(who);
  }

  // --- the model ---

  void give(Offset where, std::uint64_t bytes, int owner) {
    const auto next = blocks_.lower_bound(where);
    require(next == blocks_.end() || where + cost_of(bytes) <= next->first,
            "a block ends where the next one begins");
    require(next == blocks_.begin() ||
                std::prev(next)->first + cost_of(std::prev(next)->second.bytes) <= where,
            "a block begins where the one before it ends");
    const Block block{bytes, owner, ++stamps_};
    stamp_at(where) = block.stamp;
    stamp_at(last_word(where, block)) = block.stamp;
    blocks_.emplace(where, block);
  }

  void forget_blocks_of(int who) {
    std::erase_if(blocks_, [&](const auto& each) { return each.second.owner == who; });
  }

  // One of the member's runs.
  [[nodiscard]] std::optional<Offset> one_of(int who, std::uint32_t which) const {
    std::vector<Offset> its;
    for (const auto& [where, block] : blocks_) {
      if (block.owner == who) its.push_back(where);
    }
    return its.empty() ? std::nullopt : std::optional(its[which % its.size()]);
  }

  [[nodiscard]] std::uint32_t place_of(Offset where) const {
    for (const auto& [place, block] : places_) {
      if (block == where) return place;
    }
    return 0;
  }

  static std::uint64_t& stamp_at(Offset where) { return at<std::uint64_t>(where); }
  static Offset last_word(Offset where, const Block& block) {
    return where + (block.bytes - sizeof(std::uint64_t)) / 8 * 8;
  }

  // Of spare sizes mostly, some larger, few of MiB, and once in a while more than a window has.
  static std::uint64_t bytes_of_run(std::uint32_t size) {
    const std::uint64_t some = size / 256;
    switch (size % 256 < 128 ? 0 : size % 256 < 230 ? 1 : size % 256 < 254 ? 2 : 3) {
      case 0:
        return kLargestSmallBlock + 1 + some % (16 * kPageBytes - kLargestSmallBlock);
      case 1:
        return 1 + 16 * kPageBytes + some % (300 * kPageBytes);
      case 2:
        return (1 + some % 60) << 20;
      default:
        return (250 + some % 600) << 20;
    }
  }

  Offset table_ = 0;
  std::optional<Cast> cast_;
  std::uint64_t others_ = 0;  // bytes that somebody else has: members' lists, the table
  std::uint64_t stamps_ = 0;
  std::map<Offset, Block> blocks_;
  std::map<std::uint32_t, Offset> places_;  // of the table, those that are taken
};

TEST(Models, the_heap_is_as_a_map_of_what_was_given_out) {
  play({"heap",
        [] { return std::make_unique<HeapModel>(); },
        {"journal.staged", "journal.committed", "journal.applying", "journal.applying",
         "heap.cooling", "heap.windows_cold"}});
}

}  // namespace
}  // namespace forkful::models
