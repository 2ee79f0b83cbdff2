// Where a function lies, in words that hold in every process of this program.
//
// A raw function pointer means nothing elsewhere: address randomisation loads each process's
// modules at other places. Never keyed on type names either: two lambdas can share one.
#pragma once

#include <cstdint>

namespace forkful {
inline namespace v0 {
namespace detail {

struct CodePlace {
  std::uint64_t module;  // a digest of the module's build id, or of its file's identity
  std::uint64_t offset;  // from where the module is loaded
  friend bool operator==(const CodePlace&, const CodePlace&) = default;
};

// Throws: Error, when no loaded module has code there.
CodePlace place_of_address(const void* code);
// Throws: Error, when that module is not loaded here, or another build of it is.
const void* address_of_place(CodePlace place);

template <class R, class... A>
CodePlace place_of(R (*function)(A...)) {
  return place_of_address(reinterpret_cast<const void*>(function));
}

template <class Function>
Function* function_at(CodePlace place) {
  return reinterpret_cast<Function*>(const_cast<void*>(address_of_place(place)));
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
