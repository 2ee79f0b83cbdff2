// A share in an object of the arena. (bytes/: untyped classes under the typed ones; unstable.)
#pragma once

#include <cstdint>
#include <utility>

namespace forkful {
namespace arena {
class Held;
}
inline namespace v0 {
namespace bytes {

// Copying shares, as with shared_ptr; the object lives while any member of the family holds it.
// Threads: copies may be used from any thread. Fork: the child has a share of its own.
// Death:   the shares of a member that dies are given back for it.
class Shared {
 public:
  Shared() = default;
  Shared(const Shared& other) noexcept;
  Shared(Shared&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  Shared& operator=(Shared other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~Shared();

  explicit operator bool() const { return held_ != nullptr; }
  friend bool operator==(const Shared&, const Shared&) = default;

  // What another member of the family can adopt the object by. Keeps the object until the family
  // ends, since nobody can count who may still know its name.
  struct Name {
    std::uint64_t offset;
    std::uint64_t serial;
  };
  [[nodiscard]] Name name() const;
  // Likewise, for a process that is given a share at its start: keeps nothing.
  [[nodiscard]] Name name_for_start() const;

 protected:
  explicit Shared(arena::Held* held) : held_(held) {}
  arena::Held* held_ = nullptr;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
