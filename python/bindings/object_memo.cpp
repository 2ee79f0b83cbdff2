#include "object_memo.hpp"

#include <bit>

namespace forkful::python {

std::size_t ObjectMemo::place(PyObject* object) const {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(object) >> 4) * kGolden >>
                                  shift_);
}

bool ObjectMemo::find(PyObject* object, std::uint32_t& index) const {
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

void ObjectMemo::grow() {
  constexpr std::size_t kFirst = 64;
  const std::size_t size = entries_.empty() ? kFirst : entries_.size() * 2;
  entries_.assign(size, Entry{nullptr, 0, 0});
  round_ = 1;
  shift_ = 64 - std::countr_zero(size);
  for (std::uint32_t index = 0; index < held_.size(); ++index) {
    std::size_t i = place(held_[index]);
    while (entries_[i].round == round_) i = (i + 1) & (size - 1);
    entries_[i] = {held_[index], round_, index};
  }
}

void ObjectMemo::clear() {
  constexpr std::size_t kMostKept = std::size_t{1} << 14;
  for (PyObject* object : held_) Py_DECREF(object);
  held_.clear();
  if (entries_.size() > kMostKept) {
    entries_ = {};
    held_ = {};
  } else if (++round_ == 0) {
    entries_.clear();
  }
}

}  // namespace forkful::python
