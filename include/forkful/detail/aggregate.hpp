// Taking aggregates apart: how many members a struct has, and references to them.
//
// For structs of up to 16 members, without base classes and without C arrays (use std::array).
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

// Converts to whatever a member is, but not to the struct itself (that would be its copy).
template <class Whole>
struct Anything {
  template <class Member>
    requires(!std::is_same_v<std::remove_cvref_t<Member>, Whole>)
  operator Member() const noexcept;
};

template <class T, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return requires { T{(static_cast<void>(I), Anything<T>{})...}; };
}

inline constexpr std::size_t kMostMembers = 16;

// The largest number of initialisers that T takes.
template <class T, std::size_t N = kMostMembers + 1>
constexpr std::size_t count_members() {
  if constexpr (N == 0) {
    return 0;
  } else if constexpr (takes<T>(std::make_index_sequence<N>{})) {
    return N;
  } else {
    return count_members<T, N - 1>();
  }
}

// References to the members of an aggregate.
template <class T>
constexpr auto members_of(T& whole) {
  constexpr std::size_t kCount = count_members<std::remove_const_t<T>>();
  static_assert(kCount <= kMostMembers,
                "forkful: a struct of more than 16 members cannot be taken apart; specialise "
                "forkful::codec for it, or group its members");
  if constexpr (kCount == 0) {
    return std::tie();
#define FORKFUL_MEMBERS(count, ...)     \
  }                                     \
  else if constexpr (kCount == count) { \
    auto& [__VA_ARGS__] = whole;        \
    return std::tie(__VA_ARGS__)
    FORKFUL_MEMBERS(1, a);
    FORKFUL_MEMBERS(2, a, b);
    FORKFUL_MEMBERS(3, a, b, c);
    FORKFUL_MEMBERS(4, a, b, c, d);
    FORKFUL_MEMBERS(5, a, b, c, d, e);
    FORKFUL_MEMBERS(6, a, b, c, d, e, f);
    FORKFUL_MEMBERS(7, a, b, c, d, e, f, g);
    FORKFUL_MEMBERS(8, a, b, c, d, e, f, g, h);
    FORKFUL_MEMBERS(9, a, b, c, d, e, f, g, h, i);
    FORKFUL_MEMBERS(10, a, b, c, d, e, f, g, h, i, j);
    FORKFUL_MEMBERS(11, a, b, c, d, e, f, g, h, i, j, k);
    FORKFUL_MEMBERS(12, a, b, c, d, e, f, g, h, i, j, k, l);
    FORKFUL_MEMBERS(13, a, b, c, d, e, f, g, h, i, j, k, l, m);
    FORKFUL_MEMBERS(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n);
    FORKFUL_MEMBERS(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
    FORKFUL_MEMBERS(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
#undef FORKFUL_MEMBERS
  }
}

// std::tuple<Member...>
template <class T>
struct Members {
  template <class... M>
  static std::tuple<std::remove_const_t<M>...> strip(std::tuple<M&...>);
  using type = decltype(strip(members_of(std::declval<T&>())));
};
template <class T>
using members_t = typename Members<T>::type;

}  // namespace detail
}  // namespace v0
}  // namespace forkful
