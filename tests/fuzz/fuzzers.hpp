// Fuzzers: what another process may have written, given to each reader of such bytes.
//
// A reader may refuse its input by an exception; it may not crash, trip a sanitizer, or take longer
// than a moment. The inputs begin with seeds, which the project's own writers make, and come from
// libFuzzer, or, where the compiler has none, from `mutate()`.
//
//   fuzzers.cpp   the table: one line a fuzzer, one file a reader
//   main.cpp      the program: runs one of them, or a short turn of all
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace forkful::fuzz {

using Bytes = std::span<const std::byte>;
using Input = std::vector<std::byte>;

inline constexpr std::size_t kMostBytes = 16384;  // of one input
inline constexpr unsigned kMostSeconds = 20;      // for one input

struct Fuzzer {
  std::string_view name;
  std::string_view reader;
  void (*read)(Bytes input);  // returns, whatever the input is; a crash is a finding
  std::vector<Input> (*seeds)();
  std::uint64_t few;  // inputs of a short turn, about a second under a sanitizer
};

// The first is the canary.
std::span<const Fuzzer> fuzzers();

inline Input input_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

// Calls `read`, which may refuse its input.
template <class Read>
void tolerate(Read&& read) {
  try {
    read();
  } catch (const std::exception&) {
    // Why: an error is the right answer to bytes that nobody wrote.
  }
}

// Draws what to do from an input: numbers for as long as there are bytes, then zeros.
class Choices {
 public:
  explicit Choices(Bytes from) : rest_(from) {}
  [[nodiscard]] bool any() const { return !rest_.empty(); }
  [[nodiscard]] Bytes rest() const { return rest_; }
  Bytes take(std::size_t size) {
    const Bytes taken = rest_.first(size < rest_.size() ? size : rest_.size());
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  template <class T = std::uint64_t>
    requires std::is_trivially_copyable_v<T>
  T number() {
    T value{};
    const Bytes taken = take(sizeof value);
    if (!taken.empty()) std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  // Below 256.
  unsigned pick(unsigned below) { return number<std::uint8_t>() % below; }

 private:
  Bytes rest_;
};

}  // namespace forkful::fuzz
