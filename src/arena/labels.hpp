// Labels: short texts by which people tell the objects of a family apart.
//
// Each text is in the arena once, whatever many objects have it (a program makes most of its
// objects at a few places), and stays for the family's life. An object names its label by a number.
#pragma once

#include <string>
#include <string_view>

#include "arena/layout.hpp"

namespace forkful::arena {

// The number of a text, which is entered if it is new. 0, that of no label: the text is empty, or
// the table is full. Throws: StuckLock, if it is new.
[[nodiscard]] std::uint64_t number_of_label(std::string_view text);
// The text of a number that another process wrote; empty where it can be none.
[[nodiscard]] std::string label_text(std::uint64_t number);

}  // namespace forkful::arena
