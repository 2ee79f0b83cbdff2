// What a user's lock guards: two words that agree whenever nobody is inside.
#pragma once

#include <atomic>
#include <cstdint>
#include <forkful/bytes/lock.hpp>

#include "chaos/cast.hpp"
#include "support/child.hpp"

namespace forkful::chaos {

struct Guarded {
  std::atomic<std::uint32_t> inside;  // the life that is inside; 0: nobody
  std::atomic<std::uint64_t> first;
  std::atomic<std::uint64_t> second;
};

// Goes inside once. The lock is of the policy `recover`: it is had from a dead owner as from a
// living one, and what that one has left half done is mended here.
inline void go_inside(const bytes::RawLock& lock, Guarded& guarded, Actor& actor) {
  Wait forever;
  FORKFUL_MUST(lock.acquire(forever) == bytes::Acquired::yes);
  const std::uint32_t before = guarded.inside.exchange(actor.life());
  FORKFUL_MUST(before == 0 || actor.is_doomed(before));
  if (before == 0) FORKFUL_MUST(guarded.first == guarded.second);
  const std::uint64_t next = guarded.first + 1;
  guarded.first = next;
  guarded.second = next;
  guarded.inside = 0;
  FORKFUL_MUST(lock.release());
}

}  // namespace forkful::chaos
