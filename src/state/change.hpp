// One look at a dict, or one change of it, under its lock.
#pragma once

#include <optional>

#include "arena/heap.hpp"
#include "arena/shares.hpp"
#include "state/dict_words.hpp"
#include "state/index.hpp"
#include "state/records.hpp"

namespace forkful::state {

// Stages and commits by the dict's own journal, or by the heap's where runs change hands: then the
// words of the dict are among that journal's entries, and the dict's own list is empty.
class Change {
 public:
  // Throws: as Journal; sync::StuckLock.
  explicit Change(const arena::Held* held);
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

  [[nodiscard]] std::uint64_t count() const { return words_.count; }
  [[nodiscard]] std::uint64_t structure() const { return words_.structure; }
  [[nodiscard]] Offset head() const { return words_.head; }
  [[nodiscard]] Offset tail() const { return words_.tail; }
  [[nodiscard]] const Index& index() const { return index_; }

  struct Found {
    std::uint64_t hash;
    Index::Place place;
    explicit operator bool() const { return place.record != 0; }
  };
  [[nodiscard]] Found find(Bytes key) const;
  // Of a key that was found.
  [[nodiscard]] Bytes value(const Found& found) const {
    return value_of(Record::at(found.place.record));
  }
  [[nodiscard]] bool has_run(const Found& found) const {
    return Place::of(Record::at(found.place.record).place).lies == Lies::in_run;
  }
  [[nodiscard]] const Slabs& slabs() const { return slabs_; }
  // Where the object's own memory for cells begins and ends; none where `runs` has kept it.
  [[nodiscard]] Offset first_cell() const;
  [[nodiscard]] Offset object_end() const { return object_end_; }
  // Of the heap, for cells, in bytes.
  [[nodiscard]] std::uint64_t memory() const { return words_.slabs.taken; }

  // `run` has the value where it is too long for a cell; it is the dict's after the commit.
  // Each of these is one commit. Throws: OsError(ENOSPC); sync::StuckLock; nothing has changed.
  void insert(Found found, Bytes key, Bytes form, Bytes value, Offset run);
  void replace(const Found& found, Bytes value, Offset run);
  void erase(const Found& found);
  void clear();

  // Gives one piece of what clear() has taken out back to the heap; false: there was none.
  bool give_back();

 private:
  [[nodiscard]] static std::uint64_t& word(Offset at) { return arena::at<std::uint64_t>(at); }
  [[nodiscard]] Offset field(std::size_t offset) const { return at_ + offset; }
  // Has the heap's journal staged into from now on, where that is needed.
  Journal& open(bool with_heap);
  void commit();
  void add(std::size_t field, std::int64_t more);
  // Stages that a value is of no use any more.
  void stage_drop(const Record& record);
  [[nodiscard]] Place lay(Place place, Bytes value, Offset run) const;

  Offset at_;
  DictWords& words_;
  std::uint64_t object_end_;
  Journal journal_;
  std::optional<arena::ArenaJournal> heap_;
  Journal* open_ = nullptr;
  Slabs slabs_;
  Index index_;
};

// Of a key, in all members alike.
[[nodiscard]] std::uint64_t hash_of(Bytes key);

// Walks every structure and checks it; aborts on the first contradiction. For tests.
void check(const Change& change);

// Fills a new dict's words. `object`: where it lies.
void make_dict(std::byte* object);

// One step of taking a dict apart that nobody holds; see arena::TakeApart.
bool take_dict_apart(Journal& heap, Offset object);

}  // namespace forkful::state
