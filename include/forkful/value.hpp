// One value in shared memory, with its lock.
//
//   forkful::Value<int> hits(0);
//   ++*hits.lock();                    // the guard lives for this line
#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <forkful/bytes/cell.hpp>
#include <forkful/detail/codec.hpp>
#include <forkful/rlock.hpp>
#include <new>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {

// Nothing hands out a T& that races: load() and store() take the lock, lock() holds it for as long
// as its guard lives.
//
// T is trivially copyable and free of pointers. Copies share one value, and so does the copy that
// arrives when a Value is sent.
//
// Threads: any thread of any process of the family.
// Death:   as RLock: load(), store() and lock() throw LockOwnerDied after an owner died with the
//          lock. get_lock().recover() takes it over, and with it a value that may be half-changed.
template <class T>
class Value {
  static_assert(
      std::is_trivially_copyable_v<T> && Codable<T>,
      "forkful: Value needs a trivially copyable type without pointers, since it stands in "
      "shared memory. Remedy: for a T that owns memory (a string, a vector), send copies "
      "through a Queue");
  static_assert(alignof(T) <= 64, "forkful: Value aligns to 64 bytes at most");

 public:
  // Holds the lock while it lives.
  class Guard {
   public:
    Guard(Guard&& other) noexcept
        : lock_(other.lock_), value_(std::exchange(other.value_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (value_ != nullptr) lock_.unlock();
    }
    T& operator*() const { return *value_; }
    T* operator->() const { return value_; }

   private:
    friend Value;
    Guard(const RLock& lock, T* value) : lock_(lock), value_(value) {}
    const RLock lock_;
    T* value_;
  };

  explicit Value(const T& initial = {}) : cell_(bytes::Cell::create(sizeof(T))) {
    ::new (cell_.memory().data()) T(initial);
  }

  // Throws, all: LockOwnerDied.
  [[nodiscard]] T load() const { return *lock(); }
  void store(const T& value) const { *lock() = value; }
  [[nodiscard]] Guard lock() const {
    lock_.lock();
    return guard();
  }
  // nullopt: held by somebody else, respectively for too long, or until the stop.
  [[nodiscard]] std::optional<Guard> try_lock() const { return guard_if(lock_.try_lock()); }
  [[nodiscard]] std::optional<Guard> try_lock_for(std::chrono::nanoseconds duration) const {
    return guard_if(lock_.try_lock_for(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] std::optional<Guard> try_lock_until(
      const std::chrono::time_point<Clock, Duration>& when) const {
    return guard_if(lock_.try_lock_until(when));
  }
  [[nodiscard]] std::optional<Guard> lock(std::stop_token token) const {
    return guard_if(lock_.lock(std::move(token)));
  }
  [[nodiscard]] const RLock& get_lock() const { return lock_; }

  friend bool operator==(const Value& a, const Value& b) { return a.cell_ == b.cell_; }

  // For sending handles.
  static void write(Writer& to, const Value& value) {
    to.share(value.cell_);
    to.share(value.lock_.shared());
  }
  static Value read(Reader& from) {
    auto cell = bytes::Cell::adopt(from.raw<bytes::Shared::Name>());
    return {std::move(cell), RLock::adopt(from.raw<bytes::Shared::Name>())};
  }

 private:
  Value(bytes::Cell cell, RLock lock) : cell_(std::move(cell)), lock_(std::move(lock)) {}
  Guard guard() const {
    return Guard(lock_, std::launder(reinterpret_cast<T*>(cell_.memory().data())));
  }
  std::optional<Guard> guard_if(bool held) const {
    if (!held) return std::nullopt;
    return guard();
  }

  bytes::Cell cell_;
  RLock lock_;
};

template <class T>
struct codec<Value<T>> {
  static void write(Writer& to, const Value<T>& value) { Value<T>::write(to, value); }
  static Value<T> read(Reader& from) { return Value<T>::read(from); }
};

namespace detail {
template <class T>
inline constexpr bool is_shared_handle<Value<T>> = true;
}  // namespace detail

}  // namespace v0
}  // namespace forkful
