// Values as bytes: codec<T> for what the library knows.
//
// Codable: arithmetic types, enums, the standard containers, pair, tuple, optional, variant,
// durations, and structs of such members and C arrays of them (taken apart member by member, see
// aggregate.hpp); handles such as Queue.
// Pointers and views never are: they mean nothing in another process. For a type of your own:
//
//   template <> inline constexpr bool forkful::enable_bytewise<Vec3> = true;   // copy its bytes
//
//   template <> struct forkful::codec<Image> {
//     static void write(forkful::Writer& to, const Image& image);
//     static Image read(forkful::Reader& from);
//   };
//
// The two processes run one program, so nothing says the type of what follows.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <forkful/detail/codec/codable.hpp>
#include <forkful/detail/codec/explain.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace forkful {
inline namespace v0 {

namespace detail {

template <class T>
void write_value(Writer& to, const T& value);
template <class T>
T read_value(Reader& from);

// {size, elements}. Elements that are their bytes go in one piece; those that are made as they are
// walked (a vector<bool>'s) lie in temporaries and must be copied at once.
template <class T>
void write_container(Writer& to, const T& values) {
  using V = typename T::value_type;
  to.raw(static_cast<std::uint64_t>(values.size()));
  if constexpr (requires { values.data(); } && is_bytewise<V>()) {
    to.lasting(values.data(), values.size() * sizeof(V));
  } else if constexpr (std::is_same_v<std::remove_const_t<decltype(*values.begin())>, const V&>) {
    for (const V& value : values) write_value<V>(to, value);
  } else {
    const Writer::CopyAll temporaries(to);
    for (const auto& value : values) write_value<V>(to, value);
  }
}

// Where they are aligned the elements are copied as they are built, which passes over the memory
// once instead of twice.
template <class T>
void read_bytewise(Reader& from, T& values, std::size_t size) {
  using V = typename T::value_type;
  if constexpr (requires(const V* at) { values.assign(at, at); }) {
    const std::byte* bytes = from.rest().data();
    if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(V) == 0) {
      const Bytes taken = from.take(size * sizeof(V));
      const V* first = reinterpret_cast<const V*>(taken.data());
      values.assign(first, first + size);
      return;
    }
  }
  values.resize(size);
  from.bytes(values.data(), size * sizeof(V));
}

template <class T>
T read_container(Reader& from) {
  using V = typename T::value_type;
  T values;
  if constexpr (requires {
                  values.data();
                  values.resize(1);
                } && is_bytewise<V>()) {
    const std::size_t size = from.count(sizeof(V));
    read_bytewise(from, values, size);
  } else {
    // An element takes a byte at least, so a false count ends here.
    const std::size_t size = from.count(1);
    for (std::size_t i = 0; i < size; ++i) values.insert(values.end(), read_value<V>(from));
  }
  return values;
}

template <class T>
T read_map(Reader& from) {
  T values;
  for (std::size_t left = from.count(1); left > 0; --left) {
    auto key = read_value<typename T::key_type>(from);
    values.emplace(std::move(key), read_value<typename T::mapped_type>(from));
  }
  return values;
}

// Braces, because they fix the order of evaluation.
template <class T, class... M>
T read_tuple(Reader& from, std::tuple<M...>*) {
  return T{read_value<std::remove_const_t<M>>(from)...};
}

template <class M>
void write_member(Writer& to, const M& member) {
  if constexpr (!std::is_array_v<M>) {
    write_value(to, member);
  } else if constexpr (is_bytewise<std::remove_all_extents_t<M>>()) {
    to.bytes(&member, sizeof member);
  } else {
    for (const auto& each : member) write_member(to, each);
  }
}

template <class M>
void read_into(Reader& from, M& member) {
  if constexpr (!std::is_array_v<M>) {
    member = read_value<M>(from);
  } else if constexpr (is_bytewise<std::remove_all_extents_t<M>>()) {
    from.bytes(&member, sizeof member);
  } else {
    for (auto& each : member) read_into(from, each);
  }
}

template <class T, class... M, std::size_t... bases>
T read_members(Reader& from, TypeList<M...>*, std::index_sequence<bases...>) {
  if constexpr (Members<T>::has_array) {
    T whole{};  // no initialiser makes an array of a value
    std::apply([&](auto&... each) { (read_into(from, each), ...); }, members_of(whole));
    return whole;
  } else {
    return T{repeated_t<AnyEmptyBase<T>, bases>{}..., read_value<M>(from)...};
  }
}

template <class T, std::size_t... At>
T read_variant(Reader& from, std::size_t index, std::index_sequence<At...>) {
  std::optional<T> value;
  (void)((index == At ? (value.emplace(std::in_place_index<At>,
                                       read_value<std::variant_alternative_t<At, T>>(from)),
                         true)
                      : false) ||
         ...);
  if (!value) throw Error("a message from another process names no alternative of its variant");
  return std::move(*value);
}

template <class T>
void write_value(Writer& to, const T& value) {
  if constexpr (!require_codable<T>()) {
    // The compiler says why.
  } else if constexpr (OwnCodec<T>) {
    const Writer::CopyAll temporaries(to);
    codec<T>::write(to, value);
  } else if constexpr (is_bytewise<T>()) {
    to.raw(value);
  } else if constexpr (NamedHandle<T>) {
    to.share(value.shared());
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    write_container(to, value.native());
  } else if constexpr (Container<T>) {
    write_container(to, value);
  } else if constexpr (is_a<T, std::optional>) {
    to.raw(value.has_value());
    if (value) write_value<typename T::value_type>(to, *value);
  } else if constexpr (is_std_array<T>) {
    for (const auto& each : value) write_value(to, each);
  } else if constexpr (is_a<T, std::pair>) {
    write_value<std::remove_const_t<typename T::first_type>>(to, value.first);
    write_value(to, value.second);
  } else if constexpr (is_a<T, std::variant>) {
    if (value.valueless_by_exception()) throw Error("a variant without a value cannot be sent");
    to.raw(static_cast<std::uint32_t>(value.index()));
    std::visit([&](const auto& each) { write_value(to, each); }, value);
  } else if constexpr (is_a<T, std::chrono::duration>) {
    write_value(to, value.count());
  } else if constexpr (is_a<T, std::chrono::time_point>) {
    write_value(to, value.time_since_epoch());
  } else if constexpr (is_a<T, std::tuple>) {
    std::apply([&](const auto&... each) { (write_value(to, each), ...); }, value);
  } else if constexpr (PlainStruct<T>) {
    std::apply([&](const auto&... each) { (write_member(to, each), ...); }, members_of(value));
  }
}

template <class T>
T read_value(Reader& from) {
  if constexpr (!require_codable<T>()) {
    std::terminate();  // never compiled: the compiler says why
  } else if constexpr (OwnCodec<T>) {
    return codec<T>::read(from);
  } else if constexpr (is_bytewise<T>()) {
    return from.raw<T>();
  } else if constexpr (NamedHandle<T>) {
    return T::adopt(from.raw<bytes::Shared::Id>());
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    return T(read_container<std::filesystem::path::string_type>(from));
  } else if constexpr (MapLike<T>) {
    return read_map<T>(from);
  } else if constexpr (Container<T>) {
    return read_container<T>(from);
  } else if constexpr (is_a<T, std::optional>) {
    if (!from.raw<bool>()) return std::nullopt;
    return T(read_value<typename T::value_type>(from));
  } else if constexpr (is_std_array<T>) {
    T values{};
    for (auto& each : values) each = read_value<typename T::value_type>(from);
    return values;
  } else if constexpr (is_a<T, std::pair>) {
    return T{read_value<std::remove_const_t<typename T::first_type>>(from),
             read_value<typename T::second_type>(from)};
  } else if constexpr (is_a<T, std::variant>) {
    const auto index = from.raw<std::uint32_t>();
    return read_variant<T>(from, index, std::make_index_sequence<std::variant_size_v<T>>{});
  } else if constexpr (is_a<T, std::chrono::duration>) {
    return T(read_value<typename T::rep>(from));
  } else if constexpr (is_a<T, std::chrono::time_point>) {
    return T(read_value<typename T::duration>(from));
  } else if constexpr (is_a<T, std::tuple>) {
    return read_tuple<T>(from, static_cast<T*>(nullptr));
  } else if constexpr (PlainStruct<T>) {
    return read_members<T>(from, static_cast<members_t<T>*>(nullptr),
                           std::make_index_sequence<shape_of<T>().bases>{});
  } else if constexpr (std::is_same_v<T, std::monostate>) {
    return {};
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
