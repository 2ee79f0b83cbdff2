// The forked processes of a storm: each has a part, and whoever is killed is replaced.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "chaos/storm.hpp"
#include "support/child.hpp"

namespace forkful::chaos {

inline constexpr std::size_t kMostParts = 16;
inline constexpr std::uint32_t kMostLives = 1u << 20;

// Shared by all of them, in memory that has nothing to do with forkful's.
struct Stage {
  struct alignas(64) Part {
    std::atomic<std::uint64_t> steps;
  };
  std::array<Part, kMostParts> parts;
  std::atomic<bool> over;
  std::array<std::atomic<bool>, kMostLives> doomed;  // by life: a signal is on its way
};

// What a process knows of itself.
class Actor {
 public:
  Actor(Stage& stage, std::size_t part, std::uint32_t life)
      : stage_(stage), part_(part), life_(life) {}

  // Which one of the parts it has, and a number that no other process has; never 0.
  [[nodiscard]] std::size_t part() const { return part_; }
  [[nodiscard]] std::uint32_t life() const { return life_; }
  // Says that something was done.
  void step() { stage_.parts[part_].steps.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] bool over() const { return stage_.over; }
  // Whether the process of that life was killed, or is being killed.
  [[nodiscard]] bool is_doomed(std::uint32_t life) const { return stage_.doomed.at(life); }

 private:
  Stage& stage_;
  std::size_t part_;
  std::uint32_t life_;
};

// A part: plays until the storm is over, then returns.
using Script = std::function<void(Actor&)>;

class Cast {
 public:
  explicit Cast(std::vector<Script> scripts);

  [[nodiscard]] std::size_t size() const { return scripts_.size(); }

  // Kills the player of a part and starts another one. Half of the dead are left for the family to
  // find: their parent does not say that they are dead.
  void replace(Storm& storm, std::size_t part);
  void stop(Storm& storm, std::size_t part);

  // Tells everybody that the storm is over. Then the test wakes those that wait for one another.
  void call_end() { stage_.over = true; }
  // Waits until all have returned, and reaps the dead.
  void await_end(Storm& storm);
  // What all of them have done.
  [[nodiscard]] std::uint64_t steps() const;

 private:
  test::Child start(std::size_t part);

  std::vector<Script> scripts_;
  Stage& stage_;
  std::uint32_t lives_ = 0;
  std::vector<std::uint32_t> life_of_;
  std::vector<test::Child> players_;
  std::vector<base::MemberId> unreaped_;
};

}  // namespace forkful::chaos
