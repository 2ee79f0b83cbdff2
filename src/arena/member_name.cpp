#include "arena/member_name.hpp"

#include <algorithm>
#include <cstring>

#include "arena/members.hpp"

namespace forkful::arena {

NameWords name_words(const Member& entry) {
  NameWords words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    // Acquire: pairs with the release below. Whoever reads a name that is not the member's any more
    // sees that the member has ended.
    words[i] = entry.name[i].load(std::memory_order_acquire);
  }
  return words;
}

void write_name(Member& entry, const NameWords& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    entry.name[i].store(words[i], std::memory_order_release);
  }
}

void name_member(MemberId id, std::string_view name) {
  NameWords words{};
  std::size_t size = std::min<std::size_t>(name.size(), kNameBytes - 1);
  // Not within a character of UTF-8, which has three bytes after its first one at most: what has
  // more is another encoding's, and cut anywhere.
  const std::size_t least = std::max<std::size_t>(size, 3) - 3;
  while (size < name.size() && size > least && (name[size] & 0xc0) == 0x80) --size;
  std::memcpy(words.data(), name.data(), size);
  write_name(member(id), words);
}

std::string name_of(const Member& entry) {
  const NameWords words = name_words(entry);
  const char* const first = reinterpret_cast<const char*>(words.data());
  // Any member may have written over it, and have left no end.
  return {first, ::strnlen(first, kNameBytes)};
}

}  // namespace forkful::arena
