// The canary: a reader with the fault that readers have. If no input makes it fail, the fuzzing
// itself is broken.
#include <array>
#include <cstdlib>

#include "fuzzers.hpp"

namespace forkful::fuzz::canary {

// A length, and so many bytes; it believes the length.
void read(Bytes input) {
  Choices from(input);
  const auto claimed = from.number<std::uint16_t>();
  if (from.take(claimed).size() < claimed) std::abort();
}

std::vector<Input> seeds() {
  constexpr std::array<std::uint16_t, 4> kMessage{6, 'a', 'b', 'c'};
  return {input_of(std::as_bytes(std::span(kMessage)))};
}

}  // namespace forkful::fuzz::canary
