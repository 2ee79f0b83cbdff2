// Spans of bytes, and rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace forkful::base {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// The smallest multiple of `unit` that is not below `value`. The sum must not overflow; callers
// have bounded `value` before.
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

// What words that different processes write are kept apart by. Named here, since the standard's
// constant differs between compilers and flags, and the layout of shared memory must not.
inline constexpr std::size_t kCacheLine = 64;

}  // namespace forkful::base
