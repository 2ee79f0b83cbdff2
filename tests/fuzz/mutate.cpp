#include "mutate.hpp"

#include <algorithm>
#include <array>

namespace forkful::fuzz {
namespace {

class Mutation {
 public:
  Mutation(std::span<const Input> seeds, Random& random)
      : seeds_(seeds), random_(random), input_(any_seed()) {}

  void step() {
    switch (below(8)) {
      case 0:
        flip();
        break;
      case 1:
        overwrite(1 + below(8));
        break;
      case 2:
        overwrite_number<std::uint64_t>();
        break;
      case 3:
        overwrite_number<std::uint32_t>();
        break;
      case 4:
        cut();
        break;
      case 5:
        insert(Input(1 + below(16), static_cast<std::byte>(below(256))));
        break;
      case 6:
        insert(piece_of(input_));
        break;
      default:
        insert(piece_of(any_seed()));
    }
  }
  Input take() {
    if (input_.size() > kMostBytes) input_.resize(kMostBytes);
    return std::move(input_);
  }

 private:
  std::size_t below(std::size_t end) { return end == 0 ? 0 : random_() % end; }
  const Input& any_seed() { return seeds_[below(seeds_.size())]; }

  void flip() {
    if (input_.empty()) return;
    input_[below(input_.size())] ^= static_cast<std::byte>(1u << below(8));
  }
  void overwrite(std::size_t size) {
    const std::size_t at = below(input_.size());
    for (std::size_t i = at; i < input_.size() && i < at + size; ++i) {
      input_[i] = static_cast<std::byte>(below(256));
    }
  }
  // Numbers at which readers go wrong; where one is, most are multiples of their size.
  template <class T>
  void overwrite_number() {
    if (input_.size() < sizeof(T)) return;
    std::size_t at = below(input_.size() - sizeof(T) + 1);
    if (below(4) != 0) at -= at % sizeof(T);
    T number{};
    std::memcpy(&number, input_.data() + at, sizeof number);
    number = interesting(number);
    std::memcpy(input_.data() + at, &number, sizeof number);
  }
  template <class T>
  T interesting(T was) {
    const auto bit = static_cast<T>(T{1} << below(8 * sizeof(T)));
    const std::array<T, 8> numbers{T{0},
                                   static_cast<T>(~T{0}),
                                   static_cast<T>(~T{0} - below(16)),
                                   bit,
                                   static_cast<T>(was + below(32) - 16),
                                   static_cast<T>(was ^ bit),
                                   static_cast<T>(below(2 * kMostBytes)),
                                   static_cast<T>(random_())};
    return numbers[below(numbers.size())];
  }
  void cut() {
    const std::size_t from = below(input_.size());
    const std::size_t size = below(2) == 0 ? input_.size() - from : below(17);
    input_.erase(position(from), position(std::min(input_.size(), from + size)));
  }
  void insert(const Input& piece) {
    if (input_.size() + piece.size() > kMostBytes) return;
    input_.insert(position(below(input_.size() + 1)), piece.begin(), piece.end());
  }
  Input piece_of(const Input& from) {
    const std::size_t begin = below(from.size());
    const std::size_t size = below(from.size() - begin + 1);
    return {from.begin() + static_cast<std::ptrdiff_t>(begin),
            from.begin() + static_cast<std::ptrdiff_t>(begin + size)};
  }
  Input::iterator position(std::size_t at) {
    return input_.begin() + static_cast<std::ptrdiff_t>(at);
  }

  std::span<const Input> seeds_;
  Random& random_;
  Input input_;
};

}  // namespace

Input mutate(std::span<const Input> seeds, Random& random) {
  Mutation mutation(seeds, random);
  for (std::uint64_t steps = 1 + random() % 6; steps > 0; --steps) mutation.step();
  return mutation.take();
}

}  // namespace forkful::fuzz
