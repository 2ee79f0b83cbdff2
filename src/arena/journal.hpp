// All-or-nothing changes to shared memory, whoever is killed at whichever line.
//
// A change is a list of (word, value) pairs in the journal, committed by one store of its length
// and then applied. Whoever takes the journal's lock from a dead owner applies a committed list
// again, which is harmless because the values are absolute, and forgets an uncommitted one. This is
// the only repair step there is: every internal mutex of the engine belongs to a journal.
//
// Order of locks: a ring's journal, then the arena's. JOURNAL.md has all of it, what may be written
// before the commit, and what a death leaves.
//
// Fork: the words live in the arena; a child of fork is just another member.
#pragma once

#include <atomic>

#include "arena/windows.hpp"
#include "sync/internal_lock.hpp"

namespace forkful::arena {

// Holds a journal's lock, and with it the right to change what the journal guards.
class Journal {
 public:
  // Throws, without the lock: OsError where what a dead member has changed cannot be mapped here,
  // which others then repair; Error where its list is damaged, which is forgotten.
  // sync::StuckLock, with IfStuck::leave.
  template <std::uint32_t Capacity>
  explicit Journal(JournalWords<Capacity>& words, sync::IfStuck if_stuck = sync::IfStuck::wait)
      : Journal(words.lock, words.committed, words.entries, Capacity, if_stuck) {}
  ~Journal() { lock_.unlock(); }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Stages a word at `where`. Nothing changes before commit().
  // Throws: OsError where the word's window cannot be mapped, so that commit() finds it mapped;
  // Error where `where` can be no word, or the list is full.
  void set(Offset where, std::uint64_t value) {
    if (__builtin_expect(!can_be_word(where), 0)) damaged();
    if (__builtin_expect(staged_ >= capacity_, 0)) refuse_more();
    (void)at(where);
    entries_[staged_++] = {where, value};
    staged_words_[part_of(where)] |= bit_of(where);
  }
  // What will be at `where` once everything staged is committed. Throws: as set().
  [[nodiscard]] std::uint64_t get(Offset where) const {
    if (__builtin_expect(!can_be_word(where), 0)) damaged();
    if ((staged_words_[part_of(where)] & bit_of(where)) != 0) {
      for (std::uint32_t i = staged_; i > 0; --i) {
        if (entries_[i - 1].where == where) return entries_[i - 1].value;
      }
    }
    return std::atomic_ref(at<std::uint64_t>(where)).load(std::memory_order_relaxed);
  }
  void commit();
  // Forgets what is staged, or what was staged since staged() said so many.
  void drop(std::uint32_t but = 0) { staged_ = but; }
  [[nodiscard]] std::uint32_t staged() const { return staged_; }

 private:
  Journal(sync::OwnerWord& lock, std::atomic<std::uint32_t>& committed, JournalEntry* entries,
          std::uint32_t capacity, sync::IfStuck if_stuck);
  static constexpr bool can_be_word(Offset where) {
    return (where & ~(kArenaBytes - sizeof(std::uint64_t))) == 0;
  }
  // Which words may be staged: most that are read are not, and need not be looked for. Four times
  // as many bits as a change of many words has entries, so few are looked for in vain.
  static constexpr std::size_t kParts = 4;
  static constexpr std::size_t part_of(Offset where) {
    return where / sizeof(std::uint64_t) / 64 % kParts;
  }
  static constexpr std::uint64_t bit_of(Offset where) {
    return std::uint64_t{1} << where / sizeof(std::uint64_t) % 64;
  }
  [[noreturn]] static void refuse_more();
  void repair();
  // Why noexcept: a member that lives on must not leave half a change. All that it touches is
  // mapped.
  void apply(std::uint32_t count) noexcept;

  sync::OwnerWord& lock_;
  std::atomic<std::uint32_t>& committed_;
  JournalEntry* entries_;
  std::uint32_t capacity_;
  std::uint32_t staged_ = 0;
  std::uint64_t staged_words_[kParts] = {};
};

}  // namespace forkful::arena
