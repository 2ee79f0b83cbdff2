// The numbers that a seed stands for: each choice of a schedule is one of them.
#pragma once

#include <cstdint>

namespace forkful::schedules {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}

  std::uint64_t next() {  // splitmix64
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 to `n` - 1.
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>((next() >> 32) * n >> 32);
  }
  // True so many times of 256.
  bool chance(std::uint32_t of_256) { return below(256) < of_256; }

 private:
  std::uint64_t state_;
};

}  // namespace forkful::schedules
