// A fixed number of values in shared memory, with their lock.
//
//   forkful::Array<double> sums(8);
//   sums.store(3, 1.5);
//   for (double& sum : sums.lock()) sum *= 2;      // the guard lives for this loop
#pragma once

#include <concepts>
#include <cstddef>
#include <forkful/detail/codec/codec.hpp>
#include <forkful/detail/waits/locked_cell.hpp>
#include <forkful/rlock.hpp>
#include <initializer_list>
#include <limits>
#include <memory>
#include <new>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

namespace detail {

[[noreturn]] inline void refuse_index(std::size_t index, std::size_t size) {
  throw std::out_of_range("index " + std::to_string(index) + " of an Array of size " +
                          std::to_string(size));
}

// Holds the lock while it lives. A range of T, like a span.
template <class T>
class ArrayGuard {
 public:
  using value_type = T;
  using iterator = T*;

  ArrayGuard(const RLock& lock, std::span<std::byte> memory)
      : lock_(lock),
        data_(std::launder(reinterpret_cast<T*>(memory.data()))),
        size_(memory.size() / sizeof(T)) {}
  ArrayGuard(ArrayGuard&& other) noexcept
      : lock_(other.lock_), data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  ArrayGuard& operator=(ArrayGuard&&) = delete;
  ~ArrayGuard() {
    if (data_ != nullptr) lock_.unlock();
  }
  // Throws: std::out_of_range.
  T& operator[](std::size_t index) const {
    if (index >= size_) refuse_index(index, size_);
    return data_[index];
  }
  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T* begin() const { return data_; }
  [[nodiscard]] T* end() const { return data_ + size_; }

 private:
  const RLock lock_;
  T* data_;
  std::size_t size_;
};

}  // namespace detail

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
class Array : public detail::LockedCell<detail::ArrayGuard<T>> {
  using Base = detail::LockedCell<detail::ArrayGuard<T>>;

  static_assert(std::is_trivially_copyable_v<T> && Codable<T>,
                "forkful: Array needs a trivially copyable type without pointers, since it lies in "
                "shared memory. Remedy: for a T that owns memory (a string, a vector), send copies "
                "through a Queue");
  static_assert(alignof(T) <= 64, "forkful: Array aligns to 64 bytes at most");

 public:
  using Guard = detail::ArrayGuard<T>;

  // `size` values, each T{}. Throws: OsError(ENOSPC).
  explicit Array(std::size_t size, const Label& label = std::source_location::current())
      : Base(bytes_of(size), label) {
    // Numbers are there already: new memory reads as zero, and what nobody writes takes none.
    if constexpr (!std::is_arithmetic_v<T>) {
      for (std::size_t i = 0; i < size; ++i) ::new (static_cast<void*>(data() + i)) T{};
    }
  }
  Array(std::initializer_list<T> values, const Label& label = std::source_location::current())
      : Array(FromSized{}, values, label) {}
  // The values of a range.
  template <std::ranges::input_range Range>
    requires(std::convertible_to<std::ranges::range_reference_t<Range>, T> &&
             !std::same_as<std::remove_cvref_t<Range>, Array>)
  explicit Array(Range&& values, const Label& label = std::source_location::current())
      : Array(FromSized{}, counted(std::forward<Range>(values)), label) {}

  [[nodiscard]] std::size_t size() const { return this->memory().size() / sizeof(T); }

  // Throws, both: std::out_of_range, LockOwnerDied.
  [[nodiscard]] T load(std::size_t index) const {
    if (index >= size()) detail::refuse_index(index, size());
    return this->lock()[index];
  }
  void store(std::size_t index, const T& value) const {
    if (index >= size()) detail::refuse_index(index, size());
    this->lock()[index] = value;
  }

  friend bool operator==(const Array& a, const Array& b) { return a.is_same(b); }

 private:
  friend codec<Array>;
  struct FromSized {};
  template <class Values>
  Array(FromSized, const Values& values, const Label& label)
      : Base(bytes_of(std::ranges::size(values)), label) {
    std::ranges::uninitialized_copy(values, std::ranges::subrange(data(), data() + size()));
  }
  explicit Array(Reader& from) : Base(from) {}

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
  T* data() const { return reinterpret_cast<T*>(this->memory().data()); }
};

template <std::ranges::input_range Range>
Array(Range&&) -> Array<std::ranges::range_value_t<Range>>;

template <class T>
struct codec<Array<T>> {
  static void write(Writer& to, const Array<T>& array) { array.share(to); }
  static Array<T> read(Reader& from) { return Array<T>(from); }
};

namespace detail {
template <class T>
inline constexpr bool is_shared_handle<Array<T>> = true;
}  // namespace detail

}  // namespace v0
}  // namespace forkful
