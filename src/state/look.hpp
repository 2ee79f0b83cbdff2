// A look at one value of a dict without its lock: DICT.md says why what it finds was there.
#pragma once

#include <vector>

#include "base/bytes.hpp"
#include "state/dict_words.hpp"

namespace forkful::state {

enum class Looked {
  found,
  absent,
  changed,    // somebody has changed what it looked at: look again, or take the lock
  too_short,  // `value` has no room; its size is what it needs
  by_lock,    // the value lies where it can be read under the lock only
};

// `value` gets a copy, into the memory that it has. Throws: OsError, where memory cannot be mapped.
Looked look(const DictWords& words, std::uint64_t hash, base::Bytes key,
            std::vector<std::byte>& value, std::size_t& wanted);

}  // namespace forkful::state
