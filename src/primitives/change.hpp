// One change of an object's words: all of it or nothing, whoever is killed at whichever line. For
// Condition and Barrier, which keep several words in step; what one word can say (locks,
// semaphores, events) needs no journal.
#pragma once

#include <cstddef>

#include "arena/shares.hpp"

namespace forkful::primitives {

// Holds the lock of `Words::journal` while it lives. Fields are byte offsets into Words (and into
// what follows them in the object) of 64-bit words.
template <class Words>
class Change {
 public:
  // Waits for the lock, and first completes what a dead member has left there. Throws: as Journal.
  explicit Change(const arena::Held* held)
      : at_(held->body_offset<Words>()), journal_(held->body<Words>().journal) {}

  [[nodiscard]] std::uint64_t get(std::size_t field) const { return journal_.get(at_ + field); }
  void set(std::size_t field, std::uint64_t value) { journal_.set(at_ + field, value); }
  void commit() { journal_.commit(); }

 private:
  arena::Offset at_;
  arena::Journal journal_;
};

}  // namespace forkful::primitives
