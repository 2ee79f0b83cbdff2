// The members that do a model's operations: this process, which tells the others what to do, and
// children of it, each of which may die while it does so.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "arena/layout.hpp"
#include "base/bytes.hpp"
#include "models/play.hpp"
#include "support/child.hpp"

namespace forkful::models {

// What a block of the heap of so many bytes costs: small blocks are of a power of two, others of
// pages.
constexpr std::uint64_t kLargestSmallBlock = 2048;
constexpr std::uint64_t cost_of(std::uint64_t bytes) {
  if (bytes > kLargestSmallBlock) return base::round_up(bytes, arena::kPageBytes);
  return std::max<std::uint64_t>(64, std::bit_ceil(bytes));
}

// What a member is to do; the model says what the words mean.
struct Call {
  std::uint64_t what = 0;
  std::array<std::uint64_t, 12> with{};
};
struct Answer {
  bool refused = false;
  std::array<std::uint64_t, 4> words{};
};
using Perform = std::function<Answer(const Call& call)>;

class Cast {
 public:
  // Member 0 is this process, 1 to `others` are children, who are forked here.
  Cast(int others, Perform perform);
  ~Cast();
  Cast(const Cast&) = delete;
  Cast& operator=(const Cast&) = delete;

  // Who does an operation; one that ends in a death is never this process's.
  [[nodiscard]] int member_for(const Operation& operation) const;
  [[nodiscard]] base::MemberId id_of(int who) const;
  [[nodiscard]] bool lives(int who) const { return who == 0 || actor(who).lives; }

  // Has a member do it, and returns its answer; nothing where it died before it had one. Whoever is
  // to die is dead after this in either case, and has not been reaped. Ends the line of the note.
  std::optional<Answer> ask(int who, const Call& call, const Death& death = {});
  // Has a member end as the call says; it is not reaped. Returns its exit code, or minus the
  // signal.
  int end(int who, const Call& call);
  void kill(int who);
  // Forks another member in the place of one that has been reaped.
  void replace(int who);

 private:
  struct Actor {
    test::Child child;
    int socket;  // it reads calls and writes answers at the other end
    bool lives;
  };
  [[nodiscard]] const Actor& actor(int who) const {
    return actors_[static_cast<std::size_t>(who) - 1];
  }
  [[nodiscard]] Actor& actor(int who) { return actors_[static_cast<std::size_t>(who) - 1]; }
  Actor fork_actor();

  Perform perform_;
  std::vector<Actor> actors_;
};

}  // namespace forkful::models
