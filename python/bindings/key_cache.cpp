#include "key_cache.hpp"

#include <cstdint>
#include <cstring>

#include "values.hpp"

namespace forkful::python {
namespace {

std::uint64_t word(const char* data, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, data, size);
  return value;
}

// The ends and the size say enough: a key that is taken for another's place is compared in full.
std::size_t place(const char* data, std::size_t size, int bits) {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  std::uint64_t mixed = size * kGolden;
  if (size >= kWord) {
    mixed ^= word(data, kWord) ^ (word(data + size - kWord, kWord) * 3);
  } else {
    mixed ^= word(data, size);
  }
  return static_cast<std::size_t>(mixed * kGolden >> (64 - bits));
}

}  // namespace

PyObject* KeyCache::text(const char* data, std::size_t size) {
  constexpr int kBits = 9;
  static_assert(kPlaces == std::size_t{1} << kBits);
  PyObject*& kept = texts_[place(data, size, kBits)];
  if (kept != nullptr && static_cast<std::size_t>(PyUnicode_GET_LENGTH(kept)) == size &&
      std::memcmp(PyUnicode_DATA(kept), data, size) == 0)
    return Py_NewRef(kept);
  PyObject* text = ascii_text(data, size);
  if (text == nullptr) return nullptr;
  // The newest stays: of two that share a place, mostly the one that comes again soon. Releasing a
  // str runs no code.
  Py_XSETREF(kept, Py_NewRef(text));
  return text;
}

KeyCache& key_cache() {
  static KeyCache cache;
  return cache;
}

}  // namespace forkful::python
