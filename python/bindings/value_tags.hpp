// What stands in front of each value of a message.
//
//   value  := simple | kObject item | kPickle pickle | kLongBytes bytes     (a whole message)
//   simple := None, bool, int, float, short text or bytes, a short tuple of simple ones
//   item   := what ObjectWriter writes and ObjectReader reads, see object_writer.hpp
//
// Numbers are in the byte order of the machine: a message never leaves it.
#pragma once

#include <cstring>

#include "values.hpp"

namespace forkful::python {

enum Tag : unsigned char {
  kPickle = 1,  // the rest of the message
  kNone,
  kFalse,
  kTrue,
  kInt,        // 8 bytes
  kFloat,      // 8 bytes
  kAscii,      // size:4, characters
  kText,       // size:4, UTF-8, in which an item may have surrogates
  kBytes,      // size:4
  kTuple,      // count:1, values
  kLongBytes,  // the rest of the message
  kObject,     // an item, the rest of the message

  // Only in an item:
  kLongInt,      // size:4, hexadecimal digits
  kByteArray,    // size:4
  kTupleOf,      // count:4, items: a tuple
  kListOf,       // count:4, items
  kDictOf,       // count:4, pairs of items
  kSetOf,        // count:4, items
  kFrozenSetOf,  // count:4, items
  kAgain,        // index:4, of an object that this message has had
  kGlobal,       // size:4, module, 0, qualified name
  kConstant,     // size:4, a value: always the same object to whoever reads the chunk
  kPlain,        // class, count:4, pairs of an instance's __dict__
  kMade,         // flags:1, count:4 of arguments, what makes it, arguments, what the flags say
  kEnd,          // of the items behind a kMade
};

// The flags of kMade. What makes it is a callable, or the class whose __new__ is called.
enum Made : unsigned char {
  kByCall = 0,
  kByNew = 1,
  kByNewNamed = 2,  // the arguments are a tuple and a dict
  kHow = 3,
  kAppends = 4,     // items that are appended, kEnd
  kSetsItems = 8,   // pairs of items, kEnd
  kHasState = 16,   // an item
  kHasSetter = 32,  // a callable for object and state, ahead of the state
};

// Texts and bytes from here on are written once, however often they occur in a value.
inline constexpr std::size_t kMostRepeated = 64;
// A value that is nested deeper is left to pickle, whose reader does not recurse.
inline constexpr int kMostNested = 200;

inline bool put_tag(Buffer& into, Tag tag) {
  std::byte* at = into.extend(1);
  if (at != nullptr) at[0] = std::byte{tag};
  return at != nullptr;
}

template <class T>
bool put_number(Buffer& into, Tag tag, T value) {
  std::byte* at = into.extend(1 + sizeof value);
  if (at == nullptr) return false;
  at[0] = std::byte{tag};
  std::memcpy(at + 1, &value, sizeof value);
  return true;
}

inline bool put_sized(Buffer& into, Tag tag, const void* data, std::size_t size) {
  std::byte* at = into.extend(5 + size);
  if (at == nullptr) return false;
  const auto length = static_cast<std::uint32_t>(size);
  at[0] = std::byte{tag};
  std::memcpy(at + 1, &length, sizeof length);
  std::memcpy(at + 5, data, size);
  return true;
}

}  // namespace forkful::python
