// The journal's lock, commit and repair. JOURNAL.md has the order of locks, what may be written
// before a commit, and what a death at each line leaves.
#include "arena/journal.hpp"

#include <algorithm>
#include <forkful/errors.hpp>
#include <iterator>

#include "kernel/fault.hpp"

namespace forkful::arena {

Journal::Journal(sync::OwnerWord& lock, std::atomic<std::uint32_t>& committed,
                 JournalEntry* entries, std::uint32_t capacity, sync::IfStuck if_stuck)
    : lock_(lock), committed_(committed), entries_(entries), capacity_(capacity) {
  const MemberId me = sync::self();
  if (__builtin_expect(lock_.try_lock(me), 1)) return;
  if (sync::lock_internally(lock_, me, if_stuck) != sync::Locked::owner_died) return;
  // What the dead has left is put right before the caller sees anything. If that fails here, the
  // lock is left as the dead member's, for the next one to try.
  try {
    repair();
  } catch (...) {
    lock_.abandon();
    throw;
  }
}

void Journal::repair() {
  // Acquire: pairs with the release in commit(), so the entries that it counts are there.
  const std::uint32_t count = committed_.load(std::memory_order_acquire);
  bool damage = count > capacity_;
  for (std::uint32_t i = 0; i < count && !damage; ++i) {
    damage = !can_be_word(entries_[i].where);
    if (!damage) (void)at(entries_[i].where);
  }
  // Forgotten, since nobody can tell what it was; whoever comes next finds a lock that works.
  if (damage) {
    committed_.store(0, std::memory_order_release);
    damaged();
  }
  apply(count);
  // Under this lock the dead may also have been changing things through the arena's journal, and
  // have left a committed list there. Taking that lock applies it.
  if (&lock_ != &header().journal.lock) const Journal replay(header().journal);
}

void Journal::refuse_more() {
  throw Error("a change of the arena takes more steps than its journal has room for");
}

void Journal::commit() {
  FORKFUL_FAULT("journal.staged");
  // Release: the entries before it; pairs with the acquire in repair().
  committed_.store(staged_, std::memory_order_release);
  FORKFUL_FAULT("journal.committed");
  apply(staged_);
  staged_ = 0;
  std::fill(std::begin(staged_words_), std::end(staged_words_), 0);
}

void Journal::apply(std::uint32_t count) noexcept {
  for (std::uint32_t i = 0; i < count; ++i) {
    // A release each, so that none of these stores can become visible before `committed_`.
    std::atomic_ref(at<std::uint64_t>(entries_[i].where))
        .store(entries_[i].value, std::memory_order_release);
    FORKFUL_FAULT("journal.applying");
  }
  // Release: all words before it; pairs with the acquire in repair(), which has nothing to do then.
  committed_.store(0, std::memory_order_release);
}

}  // namespace forkful::arena
