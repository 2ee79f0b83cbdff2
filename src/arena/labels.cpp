#include "arena/labels.hpp"

#include <algorithm>
#include <cstring>

#include "arena/heap.hpp"
#include "arena/windows.hpp"
#include "kernel/fault.hpp"

namespace forkful::arena {
namespace {

// FNV-1a; never 0, which marks a free place.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char each : text) hash = (hash ^ static_cast<unsigned char>(each)) * 0x100000001b3;
  return hash | 1;
}

std::string_view text_of(const LabelWords& words) {
  return {words.text, ::strnlen(words.text, sizeof words.text)};
}

// The number of the place that has the text, or of the first free one where it would be; 0: there
// is neither. Place 0 is nobody's.
std::uint64_t find(std::string_view text, std::uint64_t hash) {
  for (std::uint64_t tries = 0; tries < kLabels; ++tries) {
    const std::uint64_t number = (hash + tries) % kLabels;
    if (number == 0) continue;
    const LabelWords& words = header().labels[number];
    // Acquire: pairs with the release in number_of_label(), which comes after the text.
    const std::uint64_t its = words.hash.load(std::memory_order_acquire);
    if (its == 0 || (its == hash && text_of(words) == text)) return number;
  }
  return 0;
}

bool is_free(std::uint64_t number) {
  return number != 0 && header().labels[number].hash.load(std::memory_order_acquire) == 0;
}

}  // namespace

std::uint64_t number_of_label(std::string_view text) {
  if (text.empty()) return 0;
  text = text.substr(0, sizeof(LabelWords::text) - 1);
  const std::uint64_t hash = hash_of(text);
  if (const std::uint64_t number = find(text, hash); !is_free(number)) return number;
  const ArenaJournal journal(sync::IfStuck::leave);  // for its lock alone
  const std::uint64_t number = find(text, hash);     // another one may have entered it meanwhile
  if (!is_free(number)) return number;
  LabelWords& words = header().labels[number];
  // A death ahead of the store leaves the place free.
  std::memset(words.text, 0, sizeof words.text);
  std::memcpy(words.text, text.data(), text.size());
  FORKFUL_FAULT("labels.written");
  words.hash.store(hash, std::memory_order_release);
  return number;
}

std::string label_text(std::uint64_t number) {
  if (number == 0 || number >= kLabels) return {};
  const LabelWords& words = header().labels[number];
  if (words.hash.load(std::memory_order_acquire) == 0) return {};
  return std::string(text_of(words));
}

}  // namespace forkful::arena
