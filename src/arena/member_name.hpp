// The names of members: words of their entries that are written and read side by side, so that a
// list of processes can be made while one of them is just being started.
//
// Threads: any. A name has one writer, the member's starter, before the member begins.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "arena/layout.hpp"

namespace forkful::arena {

using NameWords = std::array<std::uint64_t, kNameWords>;

NameWords name_words(const Member& entry);
void write_name(Member& entry, const NameWords& words);

// Writes a member's name for people, cut to what there is room for.
void name_member(MemberId id, std::string_view name);
// The name that an entry has. It is a member's own if that is still alive afterwards, and whole if
// it had a pid before.
std::string name_of(const Member& entry);

}  // namespace forkful::arena
