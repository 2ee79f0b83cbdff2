// Spans of bytes, and rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace forkful::base {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

inline constexpr std::size_t kCacheLine = 64;

}  // namespace forkful::base
