// The hash of a key: SipHash-1-3 under a key that the family has drawn.
//
// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). One round a word and
// three at the end, as dictionaries elsewhere use it: whoever chooses keys cannot foresee which
// collide.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"

namespace forkful::state {

struct HashKey {
  std::uint64_t low;
  std::uint64_t high;
};

class SipHash {
 public:
  explicit SipHash(const HashKey& key)
      : v0_(key.low ^ 0x736f6d6570736575),
        v1_(key.high ^ 0x646f72616e646f6d),
        v2_(key.low ^ 0x6c7967656e657261),
        v3_(key.high ^ 0x7465646279746573) {}

  std::uint64_t of(base::Bytes bytes) {
    const std::uint64_t length = std::uint64_t{bytes.size()} << 56;
    while (bytes.size() >= sizeof(std::uint64_t)) {
      add(load(bytes, sizeof(std::uint64_t)));
      bytes = bytes.subspan(sizeof(std::uint64_t));
    }
    add(length | load(bytes, bytes.size()));
    v2_ ^= 0xff;
    for (int round = 0; round < 3; ++round) mix();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  static_assert(std::endian::native == std::endian::little);
  static std::uint64_t load(base::Bytes bytes, std::size_t count) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), count);
    return word;
  }
  void add(std::uint64_t word) {
    v3_ ^= word;
    mix();
    v0_ ^= word;
  }
  void mix() {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t v0_;
  std::uint64_t v1_;
  std::uint64_t v2_;
  std::uint64_t v3_;
};

}  // namespace forkful::state
