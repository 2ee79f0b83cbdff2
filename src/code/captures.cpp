// Looks whether a lambda captures an address, before it is sent to another process, where the
// address means nothing. It is called where a lambda's captures are copied as bytes; a heuristic,
// since a number may look like an address.
#include <cstring>
#include <forkful/detail/calls/callable.hpp>

#include "kernel/child.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {

void check_captures(const void* closure, std::size_t size) {
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= size; at += sizeof(std::uint64_t)) {
    // Each word at its natural place: a pointer is aligned in a closure.
    std::uint64_t word = 0;
    std::memcpy(&word, static_cast<const std::byte*>(closure) + at, sizeof word);
    if (!kernel::may_be_address(word) || !kernel::is_mapped(word)) continue;
    throw BadCapture(
        "a lambda captures what looks like an address (byte " + std::to_string(at) + " of " +
        std::to_string(size) +
        "), which means nothing in another process: capture the value instead, or pass it with "
        "forkful::bind; .allow_addresses = true if it is a number");
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
