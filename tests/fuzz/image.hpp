// What an arena is at one moment: each input then meets the same one, whatever the last has done.
#pragma once

#include <vector>

#include "arena/membership.hpp"
#include "arena/shares.hpp"
#include "fuzzers.hpp"

namespace forkful::fuzz {

// Of a family of one process, which uses little memory. What the process itself knows of the arena
// (its handles, mapped windows) is not put back: an input leaves that as it was.
class Image {
 public:
  Image();
  void restore() const;

 private:
  struct Part {
    std::byte* at;
    Input was;
  };
  void note(base::Offset from, base::Offset to);
  std::vector<Part> parts_;
};

// Whether whoever wants the lock waits for an owner that lives; here that would be for ever, since
// a word that was written over names somebody by chance.
bool would_wait(const sync::OwnerWord& lock);

}  // namespace forkful::fuzz
