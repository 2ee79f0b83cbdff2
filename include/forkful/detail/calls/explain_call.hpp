// What the compiler says of a callable that cannot be called with what it is given: as in
// explain.hpp, the first line names the cause and the remedy.
#pragma once

#include <cstddef>
#include <forkful/detail/codec/explain.hpp>
#include <ranges>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

// How many parameters a callable has; -1 where that depends on the call (a template, overloads).
template <class F>
struct Parameters {
  static constexpr int kCount = -1;
};
template <class R, class... P>
struct Parameters<R (*)(P...)> {
  static constexpr int kCount = sizeof...(P);
};
template <class R, class... P>
struct Parameters<R (*)(P...) noexcept> : Parameters<R (*)(P...)> {};
template <class C, class R, class... P>
struct Parameters<R (C::*)(P...)> : Parameters<R (*)(P...)> {};
template <class C, class R, class... P>
struct Parameters<R (C::*)(P...) const> : Parameters<R (*)(P...)> {};
template <class C, class R, class... P>
struct Parameters<R (C::*)(P...) noexcept> : Parameters<R (*)(P...)> {};
template <class C, class R, class... P>
struct Parameters<R (C::*)(P...) const noexcept> : Parameters<R (*)(P...)> {};
template <class F>
  requires requires { &F::operator(); }
struct Parameters<F> : Parameters<decltype(&F::operator())> {};
// What bind() makes: the front ones are there.
template <class F>
  requires requires { typename F::Front; }
struct Parameters<F> {
  static constexpr int kAll = Parameters<typename F::Function>::kCount;
  static constexpr int kFront = std::tuple_size_v<typename F::Front>;
  static constexpr int kCount = kAll < kFront ? -1 : kAll - kFront;
};

// Whether F takes the parts of a pair or a tuple, as starmap() would give them.
template <class F, class... A>
inline constexpr bool takes_parts = false;
template <class F, class... Part>
inline constexpr bool takes_parts<F, std::tuple<Part...>> = std::is_invocable_v<F&, Part...>;
template <class F, class First, class Second>
inline constexpr bool takes_parts<F, std::pair<First, Second>> =
    std::is_invocable_v<F&, First, Second>;

// Whether F takes a char* at the place of each string.
template <class T>
using chars_of_t =
    std::conditional_t<std::is_same_v<T, std::string>, char*, std::conditional_t<Handle<T>, T&, T>>;
template <class F, class... A>
inline constexpr bool takes_chars = std::is_invocable_v<F&, chars_of_t<A>...>;

// F is an argument, and one of those after it what is to be called.
template <class F>
constexpr bool explain_order() {
  static_assert(kNever<F>,
                "forkful: the callable is given after an argument of it. Remedy: the callable "
                "first, and then its arguments, as in Process(f, x) and pool.apply(f, x)");
  return false;
}

// As in explain.hpp: F is to be called for each item of Range.
template <class F, class Range>
constexpr bool require_items() {
  if constexpr (std::ranges::input_range<Range>) {
    return true;
  } else if constexpr (std::ranges::input_range<F&>) {
    static_assert(kNever<F>,
                  "forkful: the callable of a map is given after the items. Remedy: the callable "
                  "first, as in map(f, items)");
  } else {
    static_assert(kNever<F>,
                  "forkful: the items of a map are no range: what they are given as has no begin() "
                  "and end(). Remedy: a container or a view; for one call apply(f, x)");
  }
  return false;
}

// F cannot be called with rvalues of A: says why. From the causes that can be told for certain to
// those that are likely.
template <class F, class... A>
constexpr bool explain_call() {
  constexpr int kTakes = Parameters<F>::kCount;
  constexpr int kGiven = sizeof...(A);
  if constexpr (std::is_invocable_v<F&, A&...>) {
    static_assert(kNever<F>,
                  "forkful: the callable has a T& parameter, and what it refers to would be a copy "
                  "in another process. Remedy: take T, const T& or T&&, and return what changed; "
                  "or a handle such as Value");
  } else if constexpr (takes_parts<F, A...>) {
    static_assert(kNever<F>,
                  "forkful: the callable takes the parts of a pair or a tuple, and is given it "
                  "whole. Remedy: a Pool's starmap() in place of map(); or a callable that takes "
                  "the pair or tuple");
  } else if constexpr (takes_chars<F, A...>) {
    static_assert(kNever<F>,
                  "forkful: the callable takes a `char*`, and what can be sent to another process "
                  "is a std::string, which text is sent as. Remedy: the parameter "
                  "const std::string& or std::string_view; or a lambda around the call, "
                  "[](const std::string& text) { return f(text.c_str()); }");
  } else if constexpr (kTakes > kGiven) {
    static_assert(
        kNever<F>,
        "forkful: the callable takes more arguments than it is given. Remedy: give all of "
        "them; in place of a Pool's map(), starmap() with a tuple of arguments for each "
        "item, or forkful::bind(f, first) for those that stay the same");
  } else if constexpr (kTakes >= 0 && kTakes < kGiven) {
    static_assert(kNever<F>,
                  "forkful: the callable takes fewer arguments than it is given. Remedy: as many "
                  "parameters as arguments; starmap() gives the parts of each item one by one, "
                  "map() gives the item whole");
  } else {
    static_assert(kNever<F>,
                  "forkful: the callable cannot be called with these arguments: their number or "
                  "their types do not fit. Remedy: the parameters T, const T& or T&& for each T");
  }
  return false;
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
