#include "arena.hpp"

#include <new>

#include "protocols.hpp"

namespace forkful::schedules {

void share_arena() { share(arena::at(0), arena::kWindowBytes); }

void repair_arena() { const arena::ArenaJournal journal; }

void renew(channel::RingWords& words, base::Offset at, bool free_all) {
  const std::uint32_t most_messages = words.most_messages;
  if (free_all) {
    channel::Ring ring(words, at);
    arena::ArenaJournal journal;
    for (bool done = false; !done;) {
      done = ring.take_apart(journal);
      journal.commit();
    }
  }
  new (&words) channel::RingWords{};
  words.most_messages = most_messages;
}

}  // namespace forkful::schedules
