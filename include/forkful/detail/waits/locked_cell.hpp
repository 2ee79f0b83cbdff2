// What Value and Array are made of: a piece of shared memory, and the lock that guards it. Two
// objects of the arena; a copy has a share in both.
#pragma once

#include <chrono>
#include <cstddef>
#include <forkful/bytes/cell.hpp>
#include <forkful/detail/codec/buffer.hpp>
#include <forkful/rlock.hpp>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

// Guard(lock, memory) has the lock, which it gives back at its end.
template <class Guard>
class LockedCell {
 public:
  // Throws, all: LockOwnerDied.
  [[nodiscard]] Guard lock() const {
    lock_.lock();
    return guard();
  }
  // nullopt: held by somebody else, respectively for too long, or until the stop.
  [[nodiscard]] std::optional<Guard> try_lock() const { return guard_if(lock_.try_lock()); }
  [[nodiscard]] std::optional<Guard> try_lock_for(Duration duration) const {
    return guard_if(lock_.try_lock_for(duration));
  }
  template <class Clock, class Unit>
  [[nodiscard]] std::optional<Guard> try_lock_until(
      const std::chrono::time_point<Clock, Unit>& when) const {
    return guard_if(lock_.try_lock_until(when));
  }
  [[nodiscard]] std::optional<Guard> lock(std::stop_token token) const {
    return guard_if(lock_.lock(std::move(token)));
  }
  [[nodiscard]] const RLock& get_lock() const { return lock_; }

 protected:
  LockedCell(std::size_t bytes, const Label& label)
      : cell_(bytes::Cell::create(bytes, label)), lock_(OnOwnerDeath::raise, label) {}
  // Takes up what share() wrote.
  explicit LockedCell(Reader& from)
      : cell_(bytes::Cell::adopt(from.raw<bytes::Shared::Id>())),
        lock_(RLock::adopt(from.raw<bytes::Shared::Id>())) {}
  void share(Writer& to) const {
    to.share(cell_);
    to.share(lock_.shared());
  }
  [[nodiscard]] std::span<std::byte> memory() const { return cell_.memory(); }
  [[nodiscard]] bool is_same(const LockedCell& other) const { return cell_ == other.cell_; }

 private:
  Guard guard() const { return Guard(lock_, memory()); }
  std::optional<Guard> guard_if(bool held) const {
    if (!held) return std::nullopt;
    return guard();
  }

  bytes::Cell cell_;
  RLock lock_;
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
