// The results of an iterator that came and were not given yet, each at its place in the order in
// which they are given.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "ref.hpp"

namespace forkful::python {

// A ring of as many places as are ahead, so that no item costs an allocation. Guarded by the
// interpreter lock; runs no code of objects but in clear() and at its end.
class ItemWindow {
 public:
  struct Item {
    bool ok = false;
    Ref object;
  };

  [[nodiscard]] bool has_next() const { return !items_.empty() && items_[at(begin_)].object; }
  // The next one, in order. Requires: has_next().
  Item take() { return std::move(items_[at(begin_++)]); }
  // Requires: nothing was there, or taken, at this place.
  void put(std::uint32_t place, Item item) {
    if (place - begin_ >= items_.size()) grow(place - begin_ + 1);
    items_[at(place)] = std::move(item);
  }
  void clear() { std::vector<Item>().swap(items_); }
  // Calls `visit` with each object.
  template <class Visit>
  void each(Visit&& visit) const {
    for (const Item& item : items_) {
      if (item.object) visit(item.object.get());
    }
  }

 private:
  [[nodiscard]] std::size_t at(std::uint32_t place) const { return place & (items_.size() - 1); }
  void grow(std::uint32_t places) {
    constexpr std::uint32_t kFirst = 16;
    std::vector<Item> larger(std::bit_ceil(std::max(places, kFirst)));
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const auto place = static_cast<std::uint32_t>(begin_ + i);
      larger[place & (larger.size() - 1)] = std::move(items_[at(place)]);
    }
    items_.swap(larger);
  }

  std::uint32_t begin_ = 0;  // those before were taken
  std::vector<Item> items_;  // a power of two of places, or none
};

}  // namespace forkful::python
