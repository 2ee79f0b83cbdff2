// Reading what others write at the same time. All of it goes through Sight, which answers only for
// memory that is there, by loads that are in order.
#include "state/look.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernel/fault.hpp"
#include "state/index.hpp"
#include "state/records.hpp"
#include "state/segment.hpp"

namespace forkful::state {
namespace {

constexpr std::uint64_t kWord = sizeof(std::uint64_t);
constexpr std::size_t word_of(std::size_t offset) { return offset / kWord; }

// Words of the arena that another member may be writing, and may have made something else of.
class Sight {
 public:
  // Some `bytes` at `at`; nullptr where there can be none.
  static const std::uint64_t* at(Offset at, std::uint64_t bytes) {
    const std::uint64_t windows =
        std::atomic_ref(arena::header().windows_used).load(std::memory_order_relaxed);
    const bool is_there = at % kWord == 0 && at != 0 && bytes <= arena::kWindowBytes &&
                          at % arena::kWindowBytes <= arena::kWindowBytes - bytes &&
                          at / arena::kWindowBytes < std::min(windows, arena::kWindows);
    return is_there ? &arena::at<std::uint64_t>(at) : nullptr;
  }
  // Acquire: no later load comes before it; pairs with the releases of a commit.
  static std::uint64_t load(const std::uint64_t* word) {
    return std::atomic_ref(*const_cast<std::uint64_t*>(word)).load(std::memory_order_acquire);
  }
  static bool equal(const std::uint64_t* words, base::Bytes bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += kWord) {
      const std::uint64_t word = load(words + at / kWord);
      if (std::memcmp(&word, bytes.data() + at, std::min(kWord, bytes.size() - at)) != 0) {
        return false;
      }
    }
    return true;
  }
  static void copy(const std::uint64_t* words, std::byte* to, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += kWord) {
      const std::uint64_t word = load(words + at / kWord);
      std::memcpy(to + at, &word, std::min(kWord, bytes - at));
    }
  }
};

// The value of a record that was found, as far as it can be read.
Looked read_value(const std::uint64_t* record, Offset at, std::uint64_t area,
                  std::vector<std::byte>& value, std::size_t& wanted) {
  const Place place = Place::of(Sight::load(record + word_of(offsetof(Record, place))));
  const std::uint64_t* words = nullptr;
  if (place.lies == Lies::inlined && place.bytes <= kMostInline) {
    words = Sight::at(at + area, place.bytes);
  } else if (place.lies == Lies::in_cell && place.bytes <= kLargestCell) {
    const std::uint64_t* where = Sight::at(at + area, kWord);
    if (where != nullptr) words = Sight::at(Sight::load(where), place.bytes);
  } else if (place.lies == Lies::in_run) {
    return Looked::by_lock;
  }
  if (words == nullptr) return Looked::changed;
  if (value.capacity() < place.bytes) {
    wanted = place.bytes;
    return Looked::too_short;
  }
  value.resize(place.bytes);
  FORKFUL_FAULT("dict.look.value");
  Sight::copy(words, value.data(), place.bytes);
  return Looked::found;
}

// Whether the record has the key; where its value area is goes to `area`.
bool has_key(const std::uint64_t* record, Offset at, base::Bytes key, std::uint64_t& area) {
  const std::uint64_t sizes = Sight::load(record + word_of(offsetof(Record, key_bytes)));
  const auto key_bytes = static_cast<std::uint32_t>(sizes);
  const auto form_bytes = static_cast<std::uint32_t>(sizes >> 32);
  if (key_bytes != key.size() || form_bytes > kMostKey) return false;
  const std::uint64_t* words = Sight::at(at + sizeof(Record), Record::padded(key_bytes));
  area = sizeof(Record) + Record::padded(key_bytes) + Record::padded(form_bytes);
  return words != nullptr && Sight::equal(words, key);
}

// The first record of that tag and key.
Looked probe(const std::uint64_t* segment, std::uint32_t slots, std::uint64_t tag, base::Bytes key,
             std::vector<std::byte>& value, std::size_t& wanted) {
  const std::uint64_t* slot = segment + word_of(offsetof(Segment, slots));
  std::uint32_t i = home_of(tag, slots);
  for (std::uint32_t looked = 0; looked < slots; ++looked, i = after(i, slots)) {
    const std::uint64_t word = Sight::load(slot + i);
    if (word == 0) break;
    if (!is_record(word) || word >> kRecordBits != tag) continue;
    const Offset at = record_in(word);
    const std::uint64_t* record = Sight::at(at, sizeof(Record));
    if (record == nullptr) return Looked::changed;
    FORKFUL_FAULT("dict.look.record");
    std::uint64_t area = 0;
    if (has_key(record, at, key, area)) return read_value(record, at, area, value, wanted);
  }
  return Looked::absent;
}

}  // namespace

Looked look(const DictWords& words, std::uint64_t hash, base::Bytes key,
            std::vector<std::byte>& value, std::size_t& wanted) {
  const std::uint64_t root_word = Sight::load(&words.root);
  const Branch root = Branch::of(root_word);
  if (root.depth > kTagBits) return Looked::changed;
  const std::uint64_t tag = tag_of(hash);
  const std::uint64_t index = entry_of(tag, root.depth);
  FORKFUL_FAULT("dict.look.root");
  // A directory may be larger than a window: the one word of it has to be in one.
  const std::uint64_t* entry = Sight::at(root.at + index * kWord, kWord);
  if (entry == nullptr) return Looked::changed;
  const std::uint64_t entry_word = Sight::load(entry);
  const Offset at = Branch::of(entry_word).at;
  FORKFUL_FAULT("dict.look.entry");
  const std::uint64_t* segment = Sight::at(at, sizeof(Segment));
  if (segment == nullptr) return Looked::changed;
  const std::uint64_t version = Sight::load(segment);
  const std::uint32_t slots = Counts::of(Sight::load(segment + 1)).slots;
  if (version % 2 != 0 || slots == 0 || slots > kSlots.back() ||
      Sight::at(at, segment_bytes(slots)) == nullptr) {
    return Looked::changed;
  }
  const Looked how = probe(segment, slots, tag, key, value, wanted);
  FORKFUL_FAULT("dict.look.read");
  const bool is_as_it_was = Sight::load(segment) == version && Sight::load(entry) == entry_word &&
                            Sight::load(&words.root) == root_word;
  return is_as_it_was ? how : Looked::changed;
}

}  // namespace forkful::state
