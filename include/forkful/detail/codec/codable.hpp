// Which types can be sent: see codec.hpp. Decided at compile time and by the type alone;
// explain.hpp says of the others why they cannot.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <forkful/bytes/shared.hpp>
#include <forkful/detail/codec/aggregate.hpp>
#include <forkful/detail/codec/buffer.hpp>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace forkful {
inline namespace v0 {

using detail::Reader;
using detail::Writer;

// True: the object's bytes are its value. Say it only of types without pointers.
template <class T>
inline constexpr bool enable_bytewise = false;

template <class T>
struct codec;

namespace detail {

template <class T, template <class...> class Template>
inline constexpr bool is_a = false;
template <template <class...> class Template, class... A>
inline constexpr bool is_a<Template<A...>, Template> = true;

// A container that one can walk and insert into: vector, deque, list, string, set, map, …
template <class T>
concept Container = requires(T container, const T& constant) {
  typename T::value_type;
  constant.begin() == constant.end();
  { constant.size() } -> std::convertible_to<std::size_t>;
  container.insert(container.end(), std::declval<typename T::value_type>());
} && std::default_initializable<T>;

template <class T>
concept MapLike = Container<T> && requires { typename T::mapped_type; };

// Handles made of several objects say so, and have a codec.
template <class T>
inline constexpr bool is_shared_handle = false;

// Handles of one object say how to be adopted by its id.
template <class T>
concept NamedHandle = requires(const T& handle) {
  { handle.shared() } -> std::same_as<const bytes::Shared&>;
  { T::adopt(bytes::Shared::Id{}) } -> std::same_as<T>;
};

template <class T>
concept Handle = NamedHandle<T> || is_shared_handle<T>;

template <class T>
inline constexpr bool is_std_array = false;
template <class T, std::size_t N>
inline constexpr bool is_std_array<std::array<T, N>> = true;

// A codec<T> of the user's or of a handle's. It comes before every other rule.
template <class T>
concept OwnCodec = requires(Writer& to, Reader& from, const T& value) {
  codec<T>::write(to, value);
  { codec<T>::read(from) } -> std::same_as<T>;
};

// A struct that is taken apart, see aggregate.hpp.
template <class T>
concept PlainStruct = std::is_aggregate_v<T> && std::is_class_v<T> && !is_std_array<T>;

template <class T>
constexpr bool is_bytewise();
template <class T>
constexpr bool is_codable();

// Of members, which may be arrays.
template <class... M>
constexpr bool all_bytewise(TypeList<M...>*) {
  return (is_bytewise<std::remove_all_extents_t<M>>() && ...);
}
template <class... M>
constexpr bool all_codable(TypeList<M...>*) {
  return (is_codable<std::remove_all_extents_t<M>>() && ...);
}
template <class... M>
constexpr std::size_t sum_of_sizes(TypeList<M...>*) {
  return (std::size_t{0} + ... + sizeof(M));
}

// Why NOLINT: the checker takes branches that were not instantiated for equal ones.
// NOLINTBEGIN(bugprone-branch-clone)
// Whether copying T's bytes copies its value, all of its bytes, and nothing but its value.
template <class T>
constexpr bool is_bytewise() {
  if constexpr (enable_bytewise<T>) {
    static_assert(
        std::is_trivially_copyable_v<T>,
        "forkful: enable_bytewise is for trivially copyable types; this one needs a codec");
    return true;
  } else if constexpr (OwnCodec<T>) {
    return false;
  } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> ||
                       std::is_same_v<T, std::byte>) {
    return true;
  } else if constexpr (is_std_array<T>) {
    return is_bytewise<typename T::value_type>();
  } else if constexpr (PlainStruct<T> && std::is_trivially_copyable_v<T>) {
    if constexpr (apart<T>() == Apart::yes) {
      using M = members_t<T>;
      return all_bytewise(static_cast<M*>(nullptr)) &&
             // With padding, the bytes of one process's stack would go to another.
             sum_of_sizes(static_cast<M*>(nullptr)) == sizeof(T);
    } else {
      return false;
    }
  } else {
    return false;
  }
}

template <template <class...> class Template, class... A>
constexpr bool is_codable(Template<A...>*) {
  return (is_codable<A>() && ...);
}

template <class T>
constexpr bool is_codable() {
  if constexpr (std::is_pointer_v<T> || std::is_reference_v<T> || std::is_const_v<T>) {
    return false;
  } else if constexpr (OwnCodec<T> || is_bytewise<T>() || NamedHandle<T>) {
    return true;
  } else if constexpr (MapLike<T>) {
    return is_codable<typename T::key_type>() && is_codable<typename T::mapped_type>();
  } else if constexpr (Container<T> || is_a<T, std::optional> || is_std_array<T>) {
    return is_codable<typename T::value_type>();
  } else if constexpr (is_a<T, std::pair>) {
    return is_codable<std::remove_const_t<typename T::first_type>>() &&
           is_codable<typename T::second_type>();
  } else if constexpr (is_a<T, std::tuple> || is_a<T, std::variant>) {
    return is_codable(static_cast<T*>(nullptr));
  } else if constexpr (is_a<T, std::chrono::duration>) {
    return is_codable<typename T::rep>();
  } else if constexpr (is_a<T, std::chrono::time_point>) {
    return is_codable<typename T::duration>();
  } else if constexpr (std::is_same_v<T, std::monostate> ||
                       std::is_same_v<T, std::filesystem::path>) {
    return true;
  } else if constexpr (PlainStruct<T>) {
    if constexpr (apart<T>() == Apart::yes) {
      return all_codable(static_cast<members_t<T>*>(nullptr));
    } else {
      return false;
    }
  } else {
    return false;
  }
}

// NOLINTEND(bugprone-branch-clone)

}  // namespace detail

template <class T>
concept Codable = detail::is_codable<T>();

}  // namespace v0
}  // namespace forkful
