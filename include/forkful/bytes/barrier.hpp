// A place where a number of parties meet. (Unstable; see barrier.hpp.)
#pragma once

#include <cstdint>
#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Parties meet in rounds. Each arrives; the last one, perhaps after an action, releases the others:
//
//   RawBarrier::Arrival arrival;
//   barrier.arrive(arrival, wait);                 // yes
//   if (arrival.last) { …action…; barrier.release(arrival); } else { barrier.wait(arrival, wait); }
//
// A round ends by its release, or broken. A broken barrier refuses everybody until reset(). A party
// that was released need not hurry: others may start and end any number of rounds meanwhile. (Of
// those 32 may end broken; after more of them nobody knows, and it counts as broken.)
//
// Threads: any thread of any member.
// Death:   a party that died while it waited, or between arrive() and release(), breaks the round:
//          waiters look at one another between the slices of their sleep, and the last one to
//          arrive looks at all. One that died before it arrived nobody can know of.
class RawBarrier : public Shared {
 public:
  RawBarrier() = default;
  // Throws: std::invalid_argument, when `parties` is 0 or more than 2^22, as a negative number is;
  // OsError(ENOSPC).
  static RawBarrier create(std::uint32_t parties, const Label& label = {});
  static RawBarrier adopt(Id id);

  enum class [[nodiscard]] Passed { yes, broken, timed_out, interrupted };
  struct Arrival {
    std::uint64_t round = 0;
    std::uint32_t index = 0;  // how many arrived before
    bool last = false;
  };
  // Arrives at the current round; while the action of one runs, waits for its end first.
  // Anything but `yes`: has not arrived, and may try again.
  Passed arrive(Arrival& arrival, Wait& wait) const;
  // Waits for the round's end, for all but the last. timed_out, interrupted: the round goes on and
  // counts on this party, which must wait again or give_up().
  Passed wait(const Arrival& arrival, Wait& wait) const;
  // Breaks the round, so that nobody waits for this party in vain. Returns how the round ended:
  // `yes`, when it was released just before; otherwise `broken`.
  Passed give_up(const Arrival& arrival) const;
  // Ends the round, by the last one. False when it was broken meanwhile.
  [[nodiscard]] bool release(const Arrival& arrival) const;

  // Breaks the barrier. What parties and late comers wait for ends broken.
  void abort() const;
  // Makes it whole and empty. Waits in it end broken.
  void reset() const;
  [[nodiscard]] std::uint32_t parties() const;
  // Parties that wait in this round; 0 while it is broken, or has all its parties.
  [[nodiscard]] std::uint32_t waiting() const;
  [[nodiscard]] bool broken() const;

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
