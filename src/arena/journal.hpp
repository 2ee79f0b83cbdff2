// All-or-nothing changes to shared memory, whoever is killed at whichever line.
//
// A change is a list of (word, value) pairs in the journal, committed by one store of its length
// and then applied. Who takes the journal's lock from a dead owner applies a committed list again,
// which is harmless because the values are absolute, and forgets an uncommitted one. This is the
// only repair step there is: every internal mutex of the engine belongs to a journal.
//
// Fork: the words live in the arena; a child of fork is just another member.
#pragma once

#include <atomic>

#include "arena/windows.hpp"
#include "base/check.hpp"
#include "sync/internal_lock.hpp"

namespace forkful::arena {

// Holds a journal's lock, and with it the right to change what the journal guards.
class Journal {
 public:
  // Throws: sync::StuckLock, with IfStuck::leave.
  template <std::uint32_t Capacity>
  explicit Journal(JournalWords<Capacity>& words, sync::IfStuck if_stuck = sync::IfStuck::wait)
      : Journal(words.lock, words.committed, words.entries, Capacity, if_stuck) {}
  ~Journal() { lock_.unlock(); }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Stages a word at `where`. Nothing changes before commit().
  // Throws: OsError where the word's window cannot be mapped, so that commit() finds it mapped.
  void set(Offset where, std::uint64_t value) {
    FORKFUL_CHECK(staged_ < capacity_);
    (void)at(where);
    entries_[staged_++] = {where, value};
  }
  // What will stand at `where` once everything staged is committed.
  [[nodiscard]] std::uint64_t get(Offset where) const {
    for (std::uint32_t i = staged_; i > 0; --i) {
      if (entries_[i - 1].where == where) return entries_[i - 1].value;
    }
    return std::atomic_ref(at<std::uint64_t>(where)).load(std::memory_order_relaxed);
  }
  void commit();
  // Forgets what is staged.
  void drop() { staged_ = 0; }

 private:
  Journal(sync::OwnerWord& lock, std::atomic<std::uint32_t>& committed, JournalEntry* entries,
          std::uint32_t capacity, sync::IfStuck if_stuck);
  // Why noexcept: half a change must not be left behind by a member that lives on. One that cannot
  // map what a dead member has changed ends here, and the next one repairs.
  void apply(std::uint32_t count) noexcept;

  sync::OwnerWord& lock_;
  std::atomic<std::uint32_t>& committed_;
  JournalEntry* entries_;
  std::uint32_t capacity_;
  std::uint32_t staged_ = 0;
};

}  // namespace forkful::arena
