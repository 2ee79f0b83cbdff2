// One value in shared memory, with its lock.
//
//   forkful::Value<int> hits(0);
//   ++*hits.lock();                    // the guard lives for this line
#pragma once

#include <cstddef>
#include <forkful/detail/codec/codec.hpp>
#include <forkful/detail/waits/locked_cell.hpp>
#include <forkful/rlock.hpp>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {

namespace detail {

// Holds the lock while it lives.
template <class T>
class ValueGuard {
 public:
  ValueGuard(const RLock& lock, std::span<std::byte> memory)
      : lock_(lock), value_(std::launder(reinterpret_cast<T*>(memory.data()))) {}
  ValueGuard(ValueGuard&& other) noexcept
      : lock_(other.lock_), value_(std::exchange(other.value_, nullptr)) {}
  ValueGuard& operator=(ValueGuard&&) = delete;
  ~ValueGuard() {
    if (value_ != nullptr) lock_.unlock();
  }
  T& operator*() const { return *value_; }
  T* operator->() const { return value_; }

 private:
  const RLock lock_;
  T* value_;
};

}  // namespace detail

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
class Value : public detail::LockedCell<detail::ValueGuard<T>> {
  using Base = detail::LockedCell<detail::ValueGuard<T>>;

  static_assert(std::is_trivially_copyable_v<T> && Codable<T>,
                "forkful: Value needs a trivially copyable type without pointers, since it lies in "
                "shared memory. Remedy: for a T that owns memory (a string, a vector), send copies "
                "through a Queue");
  static_assert(alignof(T) <= 64, "forkful: Value aligns to 64 bytes at most");

 public:
  using Guard = detail::ValueGuard<T>;

  explicit Value(const T& initial = {}, const Label& label = std::source_location::current())
      : Base(sizeof(T), label) {
    ::new (static_cast<void*>(this->memory().data())) T(initial);
  }

  // Throws, both: LockOwnerDied.
  [[nodiscard]] T load() const { return *this->lock(); }
  void store(const T& value) const { *this->lock() = value; }

  friend bool operator==(const Value& a, const Value& b) { return a.is_same(b); }

 private:
  friend codec<Value>;
  explicit Value(Reader& from) : Base(from) {}
};

template <class T>
struct codec<Value<T>> {
  static void write(Writer& to, const Value<T>& value) { value.share(to); }
  static Value<T> read(Reader& from) { return Value<T>(from); }
};

namespace detail {
template <class T>
inline constexpr bool is_shared_handle<Value<T>> = true;
}  // namespace detail

}  // namespace v0
}  // namespace forkful
