// A fixed number of values in shared memory, with their lock.
//
//   forkful::Array<double> sums(8);
//   sums.store(3, 1.5);
//   for (double& sum : sums.lock()) sum *= 2;      // the guard lives for this loop
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <forkful/bytes/cell.hpp>
#include <forkful/detail/codec.hpp>
#include <forkful/rlock.hpp>
#include <initializer_list>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

// Nothing hands out a T& that races: load() and store() take the lock, lock() holds it for as long
// as its guard lives.
//
// T is trivially copyable and free of pointers. Copies share one array, and so does the copy that
// arrives when an Array is sent.
//
// Threads: any thread of any process of the family.
// Death:   as RLock: load(), store() and lock() throw LockOwnerDied after an owner died with the
//          lock. get_lock().recover() takes it over, and with it values that may be half-changed.
template <class T>
class Array {
  static_assert(
      std::is_trivially_copyable_v<T> && Codable<T>,
      "forkful: Array needs a trivially copyable type without pointers, since it stands in "
      "shared memory. Remedy: for a T that owns memory (a string, a vector), send copies "
      "through a Queue");
  static_assert(alignof(T) <= 64, "forkful: Array aligns to 64 bytes at most");

 public:
  // Holds the lock while it lives. A range of T, like a span.
  class Guard {
   public:
    using value_type = T;
    using iterator = T*;

    Guard(Guard&& other) noexcept
        : lock_(other.lock_), data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (data_ != nullptr) lock_.unlock();
    }
    // Throws: std::out_of_range.
    T& operator[](std::size_t index) const {
      check_index(index, size_);
      return data_[index];
    }
    [[nodiscard]] T* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] T* begin() const { return data_; }
    [[nodiscard]] T* end() const { return data_ + size_; }

   private:
    friend Array;
    Guard(const RLock& lock, T* data, std::size_t size) : lock_(lock), data_(data), size_(size) {}
    const RLock lock_;
    T* data_;
    std::size_t size_;
  };

  // `size` values, each T{}. Throws: OsError(ENOSPC).
  explicit Array(std::size_t size) : cell_(bytes::Cell::create(bytes_of(size))) {
    for (std::size_t i = 0; i < size; ++i) ::new (static_cast<void*>(memory() + i)) T{};
  }
  Array(std::initializer_list<T> values) : Array(FromSized{}, values) {}
  // The values of a range.
  template <std::ranges::input_range Range>
    requires(std::convertible_to<std::ranges::range_reference_t<Range>, T> &&
             !std::same_as<std::remove_cvref_t<Range>, Array>)
  explicit Array(Range&& values) : Array(FromSized{}, counted(std::forward<Range>(values))) {}

  [[nodiscard]] std::size_t size() const { return cell_.memory().size() / sizeof(T); }

  // Throws, both: std::out_of_range, LockOwnerDied.
  [[nodiscard]] T load(std::size_t index) const {
    check_index(index, size());
    return lock()[index];
  }
  void store(std::size_t index, const T& value) const {
    check_index(index, size());
    lock()[index] = value;
  }

  // Throws, all: LockOwnerDied.
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

  friend bool operator==(const Array& a, const Array& b) { return a.cell_ == b.cell_; }

  // For sending handles.
  static void write(Writer& to, const Array& array) {
    to.share(array.cell_);
    to.share(array.lock_.shared());
  }
  static Array read(Reader& from) {
    auto cell = bytes::Cell::adopt(from.raw<bytes::Shared::Name>());
    return {std::move(cell), RLock::adopt(from.raw<bytes::Shared::Name>())};
  }

 private:
  struct FromSized {};
  template <class Values>
  Array(FromSized, const Values& values)
      : cell_(bytes::Cell::create(bytes_of(std::ranges::size(values)))) {
    std::ranges::uninitialized_copy(values, std::ranges::subrange(memory(), memory() + size()));
  }
  Array(bytes::Cell cell, RLock lock) : cell_(std::move(cell)), lock_(std::move(lock)) {}

  // What can be walked once only, or whose length nobody knows, is counted by collecting it.
  template <class Range>
  static auto counted(Range&& values) {
    std::vector<T> collected;
    if constexpr (std::ranges::sized_range<Range>) collected.reserve(std::ranges::size(values));
    for (auto&& value : values) collected.push_back(static_cast<T>(value));
    return collected;
  }
  static std::size_t bytes_of(std::size_t size) {
    if (size > std::numeric_limits<std::size_t>::max() / 2 / sizeof(T)) {
      throw std::length_error("an Array of " + std::to_string(size) + " values is too large");
    }
    return size * sizeof(T);
  }
  static void check_index(std::size_t index, std::size_t size) {
    if (index >= size) {
      throw std::out_of_range("index " + std::to_string(index) + " of an Array of size " +
                              std::to_string(size));
    }
  }

  T* memory() const { return reinterpret_cast<T*>(cell_.memory().data()); }
  Guard guard() const { return Guard(lock_, std::launder(memory()), size()); }
  std::optional<Guard> guard_if(bool held) const {
    if (!held) return std::nullopt;
    return guard();
  }

  bytes::Cell cell_;
  RLock lock_;
};

template <std::ranges::input_range Range>
Array(Range&&) -> Array<std::ranges::range_value_t<Range>>;

template <class T>
struct codec<Array<T>> {
  static void write(Writer& to, const Array<T>& array) { Array<T>::write(to, array); }
  static Array<T> read(Reader& from) { return Array<T>::read(from); }
};

namespace detail {
template <class T>
inline constexpr bool is_shared_handle<Array<T>> = true;
}  // namespace detail

}  // namespace v0
}  // namespace forkful
