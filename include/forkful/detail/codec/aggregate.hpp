// Taking aggregates apart: how many members a struct has, and references to them.
//
// The language tells neither number nor types of a struct's members. But it tells whether a struct
// can be initialised by so many things: so the number is found by asking, and structured bindings
// then give the members. All of it happens at compile time.
//
// For structs of up to 32 members, C arrays among them, whose base classes are empty. Nothing is
// guessed: Apart says why a struct is not one of these.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

// A guess: more members than a struct that is sent has. Each of them costs a line of members_of()
// and time of the compiler.
inline constexpr std::size_t kMostMembers = 32;

// --- tokens: what takes the place of an initialiser when we ask whether a struct takes it ---

// Converts to whatever a member is, but not to the struct itself (that would be its copy).
template <class Whole>
struct Anything {
  template <class Member>
    requires(!std::is_same_v<std::remove_cvref_t<Member>, Whole>)
  operator Member() const noexcept;
};

// Not initialised by `{}`. Handles such as Queue are among these: their constructor is explicit.
template <class T>
concept NeedsValue = std::is_class_v<T> && !requires(void (&take)(T)) { take({}); };

template <class Whole>
struct AnythingThatNeedsValue {
  template <class Member>
    requires(!std::is_same_v<std::remove_cvref_t<Member>, Whole> && NeedsValue<Member>)
  operator Member() const noexcept;
};

template <class Whole>
struct AnyBase {
  template <class Base>
    requires(!std::is_same_v<Base, Whole> && std::is_base_of_v<Base, Whole>)
  operator Base() const noexcept;
};

// This one is also used: it makes the bases of a struct that is read.
template <class Whole>
struct AnyEmptyBase {
  template <class Base>
    requires(!std::is_same_v<Base, Whole> && std::is_base_of_v<Base, Whole> &&
             std::is_empty_v<Base>)
  operator Base() const {
    return Base();
  }
};

template <class Token, std::size_t>
using repeated_t = Token;

// Whether T can be initialised by so many tokens of the one kind and then so many of the other.
template <class T, class First, class Then, std::size_t... Lead, std::size_t... Rest>
constexpr bool takes(std::index_sequence<Lead...>, std::index_sequence<Rest...>) {
  return requires { T{repeated_t<First, Lead>{}..., repeated_t<Then, Rest>{}...}; };
}
// Whether T, of `count` members, takes `leading` tokens, with anything after them.
template <class T, class Token, std::size_t leading, std::size_t count>
constexpr bool leads_with() {
  return takes<T, Token, Anything<T>>(std::make_index_sequence<leading>{},
                                      std::make_index_sequence<count - leading>{});
}

// --- counting by `{}` ---

inline constexpr std::size_t kUnclear = ~std::size_t{0};

// How many members (and bases) T has, when `{}` initialises each of them: one `{}` for each member,
// arrays too. No pack expands to `{}`, so they are written out.
#define FORKFUL_BRACES {}, {}, {}, {}, {}, {}, {}, {},
#define FORKFUL_NO_MORE(count, ...)                                                    \
  if constexpr (!requires { T{__VA_ARGS__{}}; }) {                                     \
    return requires { T{__VA_ARGS__ Anything<T>{}}; } ? kUnclear : std::size_t{count}; \
  } else
#define FORKFUL_NO_EIGHT_MORE(count, ...)                         \
  FORKFUL_NO_MORE(count, __VA_ARGS__)                             \
  FORKFUL_NO_MORE(count + 1, __VA_ARGS__{}, )                     \
  FORKFUL_NO_MORE(count + 2, __VA_ARGS__{}, {}, )                 \
  FORKFUL_NO_MORE(count + 3, __VA_ARGS__{}, {}, {}, )             \
  FORKFUL_NO_MORE(count + 4, __VA_ARGS__{}, {}, {}, {}, )         \
  FORKFUL_NO_MORE(count + 5, __VA_ARGS__{}, {}, {}, {}, {}, )     \
  FORKFUL_NO_MORE(count + 6, __VA_ARGS__{}, {}, {}, {}, {}, {}, ) \
  FORKFUL_NO_MORE(count + 7, __VA_ARGS__{}, {}, {}, {}, {}, {}, {}, )
// clang-format off
template <class T>
constexpr std::size_t count_by_braces() {
  FORKFUL_NO_EIGHT_MORE(0)
  FORKFUL_NO_EIGHT_MORE(8, FORKFUL_BRACES)
  FORKFUL_NO_EIGHT_MORE(16, FORKFUL_BRACES FORKFUL_BRACES)
  FORKFUL_NO_EIGHT_MORE(24, FORKFUL_BRACES FORKFUL_BRACES FORKFUL_BRACES)
  FORKFUL_NO_MORE(32, FORKFUL_BRACES FORKFUL_BRACES FORKFUL_BRACES FORKFUL_BRACES)
  return kMostMembers + 1;
}
// clang-format on
#undef FORKFUL_NO_EIGHT_MORE
#undef FORKFUL_NO_MORE
#undef FORKFUL_BRACES

// --- counting by values ---

// The largest number of initialisers that T takes; an array takes one for each element.
template <class T, std::size_t N = kMostMembers + 1>
constexpr std::size_t count_initialisers() {
  if constexpr (N == 0) {
    return 0;
  } else if constexpr (leads_with<T, Anything<T>, N, N>()) {
    return N;
  } else {
    return count_initialisers<T, N - 1>();
  }
}

// Whether initialiser `at` is for a whole member, and not for an element of an array.
template <class T, std::size_t... Lead, std::size_t... Rest>
constexpr bool is_whole(std::index_sequence<Lead...>, std::index_sequence<Rest...>) {
  return requires {
    T{repeated_t<Anything<T>, Lead>{}..., {}, repeated_t<Anything<T>, Rest>{}...};
  } || requires {
    T{repeated_t<Anything<T>, Lead>{}..., AnythingThatNeedsValue<T>{},
      repeated_t<Anything<T>, Rest>{}...};
  };
}
template <class T, std::size_t count, std::size_t... at>
constexpr bool are_whole(std::index_sequence<at...>) {
  return (is_whole<T>(std::make_index_sequence<at>{}, std::make_index_sequence<count - at - 1>{}) &&
          ...);
}

// How many members (and bases) T has, when none is an array.
template <class T>
constexpr std::size_t count_by_values() {
  constexpr std::size_t kCount = count_initialisers<T>();
  if constexpr (kCount == 0 || kCount > kMostMembers) {
    return kCount == 0 ? kUnclear : kCount;
  } else {
    return are_whole<T, kCount>(std::make_index_sequence<kCount>{}) ? kCount : kUnclear;
  }
}

// --- what T consists of ---

enum class Apart {
  yes,
  no_too_many_members,
  no_base_with_members,
  no_array_beside_explicit,  // an array beside a member that `{}` does not initialise
  no_constant_beside_array,  // that, or a member which cannot be assigned
};

struct Shape {
  std::size_t bases = 0;
  std::size_t members = 0;
  Apart apart = Apart::yes;
};

// Why NOLINT: the checker takes branches that were not instantiated for equal ones.
// NOLINTBEGIN(bugprone-branch-clone)
// How many of T's initialisers, from the first on, take this token: bases come first, so with
// AnyBase this is the number of bases.
template <class T, class Token, bool braces, std::size_t count, std::size_t N = 0>
constexpr std::size_t count_leading() {
  // After an array, initialisers are not counted; where `{}` does for the rest, none is needed.
  if constexpr (N == count) {
    return N;
  } else if constexpr (leads_with<T, Token, N + 1, braces ? N + 1 : count>()) {
    return count_leading<T, Token, braces, count, N + 1>();
  } else {
    return N;
  }
}
// NOLINTEND(bugprone-branch-clone)

template <class T>
constexpr std::size_t braces_of() {
  if constexpr (requires { T{}; }) {
    return count_by_braces<T>();
  } else {
    return kUnclear;
  }
}

template <class T>
constexpr Shape shape_of() {
  if constexpr (std::is_empty_v<T> && requires { T{}; }) {
    return {};
  } else {
    constexpr std::size_t kBraces = braces_of<T>();
    constexpr bool kByBraces = kBraces != kUnclear;
    constexpr std::size_t kCount = [] {
      if constexpr (kByBraces) {
        return kBraces;
      } else {
        return count_by_values<T>();
      }
    }();
    if constexpr (kCount == kUnclear) {
      return {.apart = Apart::no_array_beside_explicit};
    } else if constexpr (kCount > kMostMembers) {
      return {.apart = Apart::no_too_many_members};
    } else {
      constexpr std::size_t kBases = count_leading<T, AnyBase<T>, kByBraces, kCount>();
      if constexpr (kBases == kCount ||
                    kBases != count_leading<T, AnyEmptyBase<T>, kByBraces, kCount>()) {
        return {.apart = Apart::no_base_with_members};
      } else {
        return {.bases = kBases, .members = kCount - kBases};
      }
    }
  }
}

// References to the members of an aggregate. Requires: its Shape is known.
template <class T>
constexpr auto members_of(T& whole) {
  constexpr std::size_t kCount = shape_of<std::remove_const_t<T>>().members;
  if constexpr (kCount == 0) {
    return std::tie();
#define FORKFUL_MEMBERS(count, ...)     \
  }                                     \
  else if constexpr (kCount == count) { \
    auto& [__VA_ARGS__] = whole;        \
    return std::tie(__VA_ARGS__)
#define FORKFUL_A_TO_P a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p
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
    FORKFUL_MEMBERS(16, FORKFUL_A_TO_P);
    FORKFUL_MEMBERS(17, FORKFUL_A_TO_P, q);
    FORKFUL_MEMBERS(18, FORKFUL_A_TO_P, q, r);
    FORKFUL_MEMBERS(19, FORKFUL_A_TO_P, q, r, s);
    FORKFUL_MEMBERS(20, FORKFUL_A_TO_P, q, r, s, t);
    FORKFUL_MEMBERS(21, FORKFUL_A_TO_P, q, r, s, t, u);
    FORKFUL_MEMBERS(22, FORKFUL_A_TO_P, q, r, s, t, u, v);
    FORKFUL_MEMBERS(23, FORKFUL_A_TO_P, q, r, s, t, u, v, w);
    FORKFUL_MEMBERS(24, FORKFUL_A_TO_P, q, r, s, t, u, v, w, x);
    FORKFUL_MEMBERS(25, FORKFUL_A_TO_P, q, r, s, t, u, v, w, x, y);
    FORKFUL_MEMBERS(26, FORKFUL_A_TO_P, q, r, s, t, u, v, w, x, y, z);
    FORKFUL_MEMBERS(27, FORKFUL_A_TO_P, q, r, s, t, u, v, w, x, y, z, aa);
    FORKFUL_MEMBERS(28, FORKFUL_A_TO_P, q, r, s, t, u, v, w, x, y, z, aa, bb);
    FORKFUL_MEMBERS(29, FORKFUL_A_TO_P, q, r, s, t, u, v, w, x, y, z, aa, bb, cc);
    FORKFUL_MEMBERS(30, FORKFUL_A_TO_P, q, r, s, t, u, v, w, x, y, z, aa, bb, cc, dd);
    FORKFUL_MEMBERS(31, FORKFUL_A_TO_P, q, r, s, t, u, v, w, x, y, z, aa, bb, cc, dd, ee);
    FORKFUL_MEMBERS(32, FORKFUL_A_TO_P, q, r, s, t, u, v, w, x, y, z, aa, bb, cc, dd, ee, ff);
#undef FORKFUL_A_TO_P
#undef FORKFUL_MEMBERS
  }
}

// Why not std::tuple: one that has arrays among its elements cannot be instantiated.
template <class... T>
struct TypeList {};

template <class T>
struct Members {
  template <class... M>
  static TypeList<std::remove_const_t<M>...> strip(const std::tuple<M&...>&);
  template <class... M>
  static constexpr bool some_array(std::tuple<M&...>*) {
    return (std::is_array_v<M> || ...);
  }
  template <class... M>
  static constexpr bool all_assignable(std::tuple<M&...>*) {
    return (... &&
            (!std::is_const_v<M> && std::is_move_assignable_v<std::remove_all_extents_t<M>>));
  }
  using References = decltype(members_of(std::declval<T&>()));
  using type = decltype(strip(std::declval<References>()));
  static constexpr bool has_array = some_array(static_cast<References*>(nullptr));
  static constexpr bool assignable = all_assignable(static_cast<References*>(nullptr));
};
// A TypeList of what T's members are.
template <class T>
using members_t = typename Members<T>::type;

template <class T>
constexpr Apart apart() {
  constexpr Shape kShape = shape_of<T>();
  if constexpr (kShape.apart == Apart::yes) {
    if constexpr (Members<T>::has_array && !Members<T>::assignable) {
      return Apart::no_constant_beside_array;
    } else {
      return Apart::yes;
    }
  } else {
    return kShape.apart;
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
