// Keys of dicts and names of attributes, which come again and again: making a text, and finding
// its hash, takes longer than finding the one that came before.
#pragma once

#include <array>

#include "core.hpp"

namespace forkful::python {

class KeyCache {
 public:
  static constexpr std::size_t kMostSize = 48;

  // The text of these ASCII characters, at most kMostSize.
  // nullptr with an exception set.
  PyObject* text(const char* data, std::size_t size);

 private:
  // Enough for the fields of some dozen kinds of records; a collision costs what no cache costs.
  static constexpr std::size_t kPlaces = 512;
  std::array<PyObject*, kPlaces> texts_{};
};

// The one of this process, which the interpreter lock guards.
KeyCache& key_cache();

}  // namespace forkful::python
