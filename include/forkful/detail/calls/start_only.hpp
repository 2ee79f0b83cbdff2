// What can be passed to a Process when that starts, and by no other way: a Connection, and
// whatever contains one.
#pragma once

#include <forkful/detail/codec/codable.hpp>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace forkful {
inline namespace v0 {
namespace detail {

// For the types themselves to say.
template <class T>
inline constexpr bool goes_with_a_start = false;

template <class T>
constexpr bool contains_start_only();

template <template <class...> class Template, class... M>
constexpr bool any_start_only(Template<M...>*) {
  return (contains_start_only<std::remove_const_t<std::remove_all_extents_t<M>>>() || ...);
}

// Why NOLINT: the checker takes branches that were not instantiated for equal ones.
// NOLINTBEGIN(bugprone-branch-clone)
template <class T>
constexpr bool contains_start_only() {
  if constexpr (goes_with_a_start<T>) {
    return true;
  } else if constexpr (!std::is_class_v<T> || OwnCodec<T> || enable_bytewise<T> || Handle<T>) {
    return false;
  } else if constexpr (is_a<T, std::pair> || is_a<T, std::tuple> || is_a<T, std::variant> ||
                       is_a<T, std::optional>) {
    return any_start_only(static_cast<T*>(nullptr));
  } else if constexpr (MapLike<T>) {
    return contains_start_only<typename T::mapped_type>();
  } else if constexpr (Container<T> || is_std_array<T>) {
    return contains_start_only<typename T::value_type>();
  } else if constexpr (PlainStruct<T> && Codable<T>) {
    return any_start_only(static_cast<members_t<T>*>(nullptr));
  } else {
    return false;
  }
}
// NOLINTEND(bugprone-branch-clone)

template <class T>
inline constexpr bool is_start_only = contains_start_only<std::remove_cvref_t<T>>();

// One argument on its way to a new process: by reference, or, where it moves there, held here
// until the process runs. It goes back to the caller when the start fails.
//
// Why held: a fork copies the caller's object as well, and two owners would close one descriptor.
template <class A, bool = is_start_only<A>>
class Given {
 public:
  using type = std::remove_cvref_t<A>;
  explicit Given(const type& value) : value_(value) {}
  [[nodiscard]] const type& value() const { return value_; }
  void keep_away() {}

 private:
  const type& value_;
};

template <class A>
class Given<A, true> {
 public:
  using type = std::remove_cvref_t<A>;
  static_assert(!std::is_lvalue_reference_v<A> && !std::is_const_v<A>,
                "forkful: this argument is a Connection, or contains one, which belongs to one "
                "process at a time. Remedy: pass std::move(connection); it is closed here once the "
                "process has it");
  explicit Given(type& from) : from_(from), value_(std::move(from)) {}
  explicit Given(const type& from);  // for the message above to come alone
  Given(const Given&) = delete;
  Given& operator=(const Given&) = delete;
  ~Given() {
    if (!away_) from_ = std::move(value_);
  }
  [[nodiscard]] const type& value() const { return value_; }
  void keep_away() { away_ = true; }

 private:
  type& from_;
  type value_;
  bool away_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
