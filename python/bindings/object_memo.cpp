// The table of an ObjectMemo: by an object's address, with open addressing.
//
// An ObjectWriter has one, and asks it for nearly every object that it writes, so a look-up is a
// multiplication and mostly one place. The table keeps its memory from value to value: most values
// are small, and a round number makes all entries free at once.
//
// GIL:     held throughout. No code of objects runs but in clear(), whose references may be the
//          last ones. What runs there cannot come back here: whoever clears the memo owns it, and
//          a nested value is written by another writer.
// Objects: compared by their address, never by __eq__. Each is held until clear(), or another
//          object could get its address while the value is still being written.
#include "object_memo.hpp"

#include <bit>

namespace forkful::python {

// Addresses are multiples of 16, so their low bits say nothing. The product spreads them, and its
// high bits are the place: grow() sets shift_ so that these are as many as the table needs.
std::size_t ObjectMemo::place(PyObject* object) const {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(object) >> 4) * kGolden >>
                                  shift_);
}

bool ObjectMemo::find(PyObject* object, std::uint32_t& index) const {
  // Also the case in which there is no table yet. Elsewhere the walk ends, as at most half of the
  // places are taken.
  if (held_.empty()) return false;
  for (std::size_t i = place(object);; i = (i + 1) & (entries_.size() - 1)) {
    const Entry& entry = entries_[i];
    if (entry.round != round_) return false;
    if (entry.object == object) {
      index = entry.index;
      return true;
    }
  }
}

// One walk for both: an object that is not there belongs into the free place where the walk ends.
bool ObjectMemo::find_or_add(PyObject* object, std::uint32_t& index) {
  if (2 * held_.size() >= entries_.size()) grow();
  for (std::size_t i = place(object);; i = (i + 1) & (entries_.size() - 1)) {
    Entry& entry = entries_[i];
    if (entry.round != round_) {
      entry = {object, round_, static_cast<std::uint32_t>(held_.size())};
      held_.push_back(Py_NewRef(object));
      return false;
    }
    if (entry.object == object) {
      index = entry.index;
      return true;
    }
  }
}

// The numbers are places in held_, which stay; only where they are noted is made anew.
void ObjectMemo::grow() {
  constexpr std::size_t kFirst = 64;  // a KiB
  const std::size_t size = entries_.empty() ? kFirst : entries_.size() * 2;
  entries_.assign(size, Entry{nullptr, 0, 0});
  // The entries of a new table are of round 0, and so are free.
  round_ = 1;
  shift_ = 64 - std::countr_zero(size);
  for (std::uint32_t index = 0; index < held_.size(); ++index) {
    std::size_t i = place(held_[index]);
    while (entries_[i].round == round_) i = (i + 1) & (size - 1);
    entries_[i] = {held_[index], round_, index};
  }
}

void ObjectMemo::clear() {
  // A guess: 256 KiB of table. One large value is not to keep its memory for the life of a worker.
  constexpr std::size_t kMostKept = std::size_t{1} << 14;
  for (PyObject* object : held_) Py_DECREF(object);
  held_.clear();
  if (entries_.size() > kMostKept) {
    entries_ = {};
    held_ = {};
  } else if (++round_ == 0) {
    entries_.clear();  // after 2^32 rounds an old entry would look like one of this round
  }
}

}  // namespace forkful::python
