// Inputs made of seeds, where the compiler has no libFuzzer: blind to what the reader does with
// them, but the same for the same random numbers.
#pragma once

#include <random>

#include "fuzzers.hpp"

namespace forkful::fuzz {

using Random = std::mt19937_64;

Input mutate(std::span<const Input> seeds, Random& random);

}  // namespace forkful::fuzz
