// What the compiler says of a type that cannot be sent: the first line of its diagnostic names the
// cause and the remedy.
//
// Each require_…() is used as the condition of an `if constexpr`, so that it is instantiated ahead
// of everything that would fail for the same cause, and nothing of that is.
#pragma once

#include <cstddef>
#include <forkful/detail/codec/codable.hpp>
#include <iterator>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

template <class>
inline constexpr bool kNever = false;

template <class T>
inline constexpr bool is_view =
    std::is_same_v<T, std::string_view> || std::is_same_v<T, std::wstring_view>;
template <class T, std::size_t N>
inline constexpr bool is_view<std::span<T, N>> = true;

template <class T>
constexpr bool require_codable();

template <class... M>
constexpr bool require_all_codable(TypeList<M...>*) {
  return (require_codable<std::remove_all_extents_t<std::remove_const_t<M>>>() && ...);
}
template <template <class...> class Template, class... A>
constexpr bool require_all_codable(Template<A...>*) {
  return require_all_codable(static_cast<TypeList<A...>*>(nullptr));
}

// One message for each answer of apart(), in the order in which it finds them.
template <class T>
constexpr bool explain_struct() {
  constexpr Apart kApart = apart<T>();
  if constexpr (kApart == Apart::yes) {
    return require_all_codable(static_cast<members_t<T>*>(nullptr));
  } else {
    static_assert(kApart != Apart::no_too_many_members,
                  "forkful: a struct of more than 32 members cannot be taken apart to be sent. "
                  "Remedy: group its members in structs, or specialise forkful::codec for it");
    static_assert(kApart != Apart::no_base_with_members,
                  "forkful: a struct whose base class has members cannot be taken apart to be "
                  "sent. Remedy: make the base a member, or specialise forkful::codec for it, or "
                  "forkful::enable_bytewise if its bytes are its value");
    static_assert(kApart != Apart::no_array_beside_explicit,
                  "forkful: this struct cannot be taken apart to be sent: it has a C array beside "
                  "a member that {} does not initialise (such as a Queue), or a reference. Remedy: "
                  "a std::array, and no reference; or specialise forkful::codec for it");
    static_assert(kApart != Apart::no_constant_beside_array,
                  "forkful: this struct cannot be taken apart to be sent: it has a C array and a "
                  "member that cannot be assigned. Remedy: a std::array, no const member; or "
                  "specialise forkful::codec for it");
    return false;
  }
}

// Never true. Where T is made of other types, these explain themselves, so that the first line is
// of what is at fault and not of what contains it.
template <class T>
constexpr bool explain_uncodable() {
  if constexpr (std::is_same_v<T, const char*> || std::is_same_v<T, char*>) {
    static_assert(kNever<T>,
                  "forkful: a pointer cannot be sent to another process, and a `char*` is one. "
                  "Remedy: std::string");
  } else if constexpr (std::is_pointer_v<T> || std::is_member_pointer_v<T> ||
                       std::is_null_pointer_v<T>) {
    static_assert(kNever<T>,
                  "forkful: a pointer cannot be sent to another process, where its address means "
                  "nothing. Remedy: send the value; or for memory that both see, a handle such as "
                  "Value or Queue");
  } else if constexpr (is_view<T>) {
    static_assert(kNever<T>,
                  "forkful: a view (string_view, span) cannot be sent to another process, since "
                  "what it looks at stays behind. Remedy: a std::string or a std::vector");
  } else if constexpr (std::is_reference_v<T> || std::is_const_v<T> || std::is_array_v<T>) {
    static_assert(kNever<T>,
                  "forkful: a reference, a const type or a C array cannot be sent to another "
                  "process as such. Remedy: the plain type; for an array std::array");
  } else if constexpr (MapLike<T>) {
    return require_codable<typename T::key_type>() && require_codable<typename T::mapped_type>();
  } else if constexpr (Container<T> || is_a<T, std::optional> || is_std_array<T>) {
    return require_codable<typename T::value_type>();
  } else if constexpr (is_a<T, std::pair> || is_a<T, std::tuple> || is_a<T, std::variant>) {
    return require_all_codable(static_cast<T*>(nullptr));
  } else if constexpr (PlainStruct<T>) {
    return explain_struct<T>();
  } else {
    static_assert(kNever<T>,
                  "forkful: this type cannot be sent to another process. Possible causes: it is a "
                  "class with private members, or owns something (unique_ptr, a file, a thread). "
                  "Remedy: specialise forkful::codec for it, or forkful::enable_bytewise if its "
                  "bytes are its value; or send a struct of numbers, strings and containers");
  }
  return false;
}

template <class T>
constexpr bool require_codable() {
  if constexpr (Codable<T>) {
    return true;
  } else {
    return explain_uncodable<T>();
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
