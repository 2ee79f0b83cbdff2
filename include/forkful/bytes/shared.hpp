// A share in an object of the arena. (bytes/: untyped classes under the typed ones; unstable.)
#pragma once

#include <cstdint>
#include <forkful/label.hpp>
#include <span>
#include <string>
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

  // What another member of the family can adopt the object by. It keeps nothing: what carries it (a
  // message, or a process's start) has a share of its own; see ByteQueue::put().
  struct Id {
    std::uint64_t family;
    std::uint64_t offset;
    std::uint64_t serial;
  };
  // Throws: Error, where this handle is empty.
  [[nodiscard]] Id id() const;
  // What the object is called; empty where it has no label. Throws: Error, where this handle is
  // empty.
  [[nodiscard]] std::string label() const;
  // For a message: the kind of object, and the label where it has one: Lock "orders". Throws:
  // Error, where this handle is empty.
  [[nodiscard]] std::string called(const char* kind) const;
  // Keeps the object until the family ends: for ids that go ways where nobody can count who
  // still knows them, such as a pickle made by hand.
  void pin() const;

 protected:
  explicit Shared(arena::Held* held) : held_(held) {}
  arena::Held* held_ = nullptr;

 private:
  [[nodiscard]] arena::Held& held() const;
};

// What a message names, on its way to the message that will hold it.
using Shares = std::span<const Shared>;

// Holds objects that are named in a message through a socket, whose bytes can hold nothing: from
// sent() until the receiver, who adopts them first, calls received() with the parcel's id. What
// is sent and never received is held until the family ends.
class Parcel : public Shared {
 public:
  // Throws: OsError(ENOSPC).
  explicit Parcel(Shares shares);
  // It is about to be sent.
  void sent() const;
  // Takes no ids of other families, and each id once. What it is told twice, or what is none,
  // does no harm.
  static void received(const Id& id);
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
