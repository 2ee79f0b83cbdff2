// What can be called in another process, and how it gets there.
//
// A callable travels as the place of an instantiated template in this program's code, plus its
// captures as bytes:
//
//   function pointer   the place of the function
//   closure            its bytes; it must be trivially copyable and of standard layout, which one
//                      with a capture by reference, a string or a vector is not, and be free of
//                      pointers
//   bind(f, front…)    f and the encoded arguments
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <forkful/detail/calls/code.hpp>
#include <forkful/detail/calls/explain_call.hpp>
#include <forkful/detail/codec/codec.hpp>
#include <functional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace detail {

// --- arguments ---

template <class T>
struct Encoded {
  using type = T;
};
template <>
struct Encoded<const char*> {
  using type = std::string;
};
template <>
struct Encoded<char*> {
  using type = std::string;
};
template <>
struct Encoded<std::string_view> {
  using type = std::string;
};
template <class T, std::size_t N>
struct Encoded<std::span<T, N>> {
  using type = std::vector<std::remove_const_t<T>>;
};
// What an argument or a result of type T travels as.
template <class T>
using encoded_t = typename Encoded<std::decay_t<T>>::type;

template <class E, class T>
void write_argument(Writer& to, const T& argument) {
  if constexpr (std::is_same_v<E, T>) {
    write_value<E>(to, argument);
  } else if constexpr (std::is_same_v<E, std::string>) {
    const std::string_view text(argument);
    to.raw(static_cast<std::uint64_t>(text.size()));
    to.bytes(text.data(), text.size());
  } else {
    write_value<E>(to, E(std::begin(argument), std::end(argument)));
  }
}

// A value reaches the callee as an rvalue, so that it may be moved from; a handle as an lvalue.
template <class T>
using passed_t = std::conditional_t<Handle<T>, T&, T&&>;

template <class F, class Args>
struct Invocation;
template <class F, class... A>
struct Invocation<F, std::tuple<A...>> {
  static constexpr bool possible = std::is_invocable_v<F&, passed_t<A>...>;
  static constexpr bool explain() { return explain_call<F, A...>(); }
  using raw_result = typename std::conditional_t<possible, std::invoke_result<F&, passed_t<A>...>,
                                                 std::type_identity<void>>::type;
  using result = std::conditional_t<std::is_void_v<raw_result>, void, encoded_t<raw_result>>;
};

template <class F, class... A>
decltype(auto) invoke_with(F& function, std::tuple<A...>& arguments) {
  return std::apply(
      [&](A&... each) -> decltype(auto) {
        return std::invoke(function, static_cast<passed_t<A>>(each)...);
      },
      arguments);
}

// --- callables ---

template <class F, class... A>
class Bound {
 public:
  using Function = F;
  using Front = std::tuple<A...>;

  Bound(F f, std::tuple<A...> front) : function_(std::move(f)), front_(std::move(front)) {}

  // The bound arguments stay whole for the next call, so the callee sees them as const.
  template <class... Rest>
  decltype(auto) operator()(Rest&&... rest)
    requires std::is_invocable_v<F&, std::conditional_t<Handle<A>, A&, const A&>..., Rest...>
  {
    return std::apply(
        [&](A&... front) -> decltype(auto) {
          return std::invoke(function_,
                             static_cast<std::conditional_t<Handle<A>, A&, const A&>>(front)...,
                             std::forward<Rest>(rest)...);
        },
        front_);
  }

  [[nodiscard]] const F& function() const { return function_; }
  [[nodiscard]] const std::tuple<A...>& front() const { return front_; }

 private:
  F function_;
  std::tuple<A...> front_;
};

template <class F>
inline constexpr bool is_function_pointer =
    std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>;

// A pointer, a reference, or a union that may hide one: the language refuses to make these of bytes
// at compile time. (clang: bit-fields too.)
template <class F>
inline constexpr bool holds_no_pointer = requires {
  typename std::bool_constant<(
      static_cast<void>(std::bit_cast<F>(std::array<std::byte, sizeof(F)>{})), true)>;
};

template <class F>
concept Closure = std::is_class_v<F> && std::is_trivially_copyable_v<F> &&
                  std::is_standard_layout_v<F> && holds_no_pointer<F> && !Handle<F>;

template <class F>
inline constexpr bool is_shippable = is_function_pointer<F> || Closure<F>;
template <class F, class... A>
inline constexpr bool is_shippable<Bound<F, A...>> = is_shippable<F> && (Codable<A> && ...);

// Throws BadCapture when a word of the closure is an address of this process's memory. Best
// effort: a number that looks like an address is taken for one.
void check_captures(const void* closure, std::size_t size);

template <class Never>
struct SeveralFunctions {
  static_assert(!std::is_void_v<Never>,
                "forkful: this names several functions (an overload set or a template), and cannot "
                "tell which of them to send to another process. Remedy: a lambda around the call, "
                "[](int x) { return f(x); }, or a cast to the type of the one that is meant");
  using type = SeveralFunctions;
};

// The default of each parameter F: what is given for a callable has no type of its own. Only where
// that is the name of several functions, and not a list in braces, the default of G is looked at.
struct OverloadSet {
  template <class Never = void, class G = typename SeveralFunctions<Never>::type>
    requires std::same_as<G, SeveralFunctions<void>>
  OverloadSet(G&&);
};

// As in explain.hpp.
template <class F>
constexpr bool require_shippable() {
  if constexpr (is_shippable<F>) {
    return true;
  } else if constexpr (!std::is_class_v<F>) {
    static_assert(kNever<F>,
                  "forkful: this cannot be sent to another process to be called: it is no function "
                  "and no lambda (a pointer to a member, perhaps). Remedy: a lambda around the "
                  "call, [](const T& object) { return object.f(); }");
  } else if constexpr (!std::is_trivially_copyable_v<F>) {
    static_assert(
        kNever<F>,
        "forkful: this callable cannot be sent to another process: it captures data that "
        "owns memory (a string, a vector, a handle such as Queue), or it is a "
        "std::function or a std::bind. Remedy: a lambda without that capture, which takes "
        "it as its first parameter, and forkful::bind(lambda, data)");
  } else if constexpr (!std::is_standard_layout_v<F>) {
    static_assert(
        kNever<F>,
        "forkful: this callable cannot be sent to another process: it captures by "
        "reference, and there is nothing to refer to over there. Remedy: capture by value "
        "([x], not [&]), or forkful::bind(lambda, x), and return what changed");
  } else {
    static_assert(kNever<F>,
                  "forkful: this callable cannot be sent to another process: it captures `this` or "
                  "a pointer (or a union; with clang, bit-fields), and an address means nothing "
                  "over there. Remedy: capture the values themselves ([x = x_], not [this]), or "
                  "forkful::bind(lambda, x); for Context::fork, a std::uintptr_t");
  }
  return false;
}
template <class Bound>
  requires requires { typename Bound::Front; }
constexpr bool require_shippable() {
  return require_shippable<typename Bound::Function>() &&
         require_all_codable(static_cast<typename Bound::Front*>(nullptr));
}

// Whether F is an argument, and what is to be called comes after it: something with parameters that
// are known, or a closure, as a lambda of `auto` parameters is.
template <class F, class Args>
inline constexpr bool is_given_late = false;
template <class F, class... A>
inline constexpr bool is_given_late<F, std::tuple<A...>> =
    Codable<encoded_t<F>> && !Invocation<F, std::tuple<A...>>::possible &&
    ((Parameters<A>::kCount >= 0 || (Closure<A> && !Codable<A>)) || ...);

// F(Args...) can be called in another process, and its result come back.
//
// Why NOLINT: the checker takes branches that were not instantiated for equal ones.
// NOLINTBEGIN(bugprone-branch-clone)
template <class F, class Args>
constexpr bool require_call() {
  using Call = Invocation<F, Args>;
  if constexpr (is_given_late<F, Args>) {
    return explain_order<F>();
  } else if constexpr (!require_shippable<F>()) {
    return false;
  } else if constexpr (!require_all_codable(static_cast<Args*>(nullptr))) {
    return false;
  } else if constexpr (!Call::possible) {
    return Call::explain();
  } else if constexpr (!std::is_void_v<typename Call::result>) {
    return require_codable<typename Call::result>();
  } else {
    return true;
  }
}
// NOLINTEND(bugprone-branch-clone)

// Likewise F(item), for each item of Range. F need not be decayed.
template <class F, class Range>
constexpr bool require_map() {
  if constexpr (require_items<F, Range>()) {
    return require_call<std::decay_t<F>,
                        std::tuple<encoded_t<std::ranges::range_reference_t<Range>>>>();
  } else {
    return false;
  }
}

template <class F>
void write_callable(Writer& to, const F& callable, bool check) {
  if constexpr (!require_shippable<F>()) {
    // The compiler says why.
  } else if constexpr (is_function_pointer<F>) {
    to.raw(place_of_address(reinterpret_cast<const void*>(callable)));
  } else {
    if (check && !std::is_empty_v<F>) check_captures(&callable, sizeof callable);
    to.raw(callable);
  }
}

template <class F, class... A>
void write_callable(Writer& to, const Bound<F, A...>& callable, bool check) {
  if constexpr (require_shippable<Bound<F, A...>>()) {
    write_callable(to, callable.function(), check);
    write_value(to, callable.front());
  }
}

template <class F>
struct CallableReader {
  static F read(Reader& from) {
    if constexpr (is_function_pointer<F>) {
      return function_at<std::remove_pointer_t<F>>(from.raw<CodePlace>());
    } else {
      // Not through an F object: a lambda with captures has no default constructor.
      return std::bit_cast<F>(from.raw<std::array<std::byte, sizeof(F)>>());
    }
  }
};
template <class F, class... A>
struct CallableReader<Bound<F, A...>> {
  static Bound<F, A...> read(Reader& from) {
    F function = CallableReader<F>::read(from);
    return {std::move(function), read_value<std::tuple<A...>>(from)};
  }
};
template <class F>
F read_callable(Reader& from) {
  return CallableReader<F>::read(from);
}

// --- a call, whole ---

// In the other process: reads what write_call() wrote, and calls.
template <class F, class Args>
void run_call(Bytes payload) {
  if constexpr (require_call<F, Args>()) {
    Reader from(payload);
    F function = read_callable<F>(from);
    Args arguments = read_value<Args>(from);
    invoke_with(function, arguments);
  }
}

template <class F, class... A>
void write_call(Writer& to, const F& function, bool check, const A&... arguments) {
  if constexpr (require_call<F, std::tuple<encoded_t<A>...>>()) {
    write_callable(to, function, check);
    (write_argument<encoded_t<A>>(to, arguments), ...);
  }
}

}  // namespace detail

// Binds the first arguments of a callable that is to be sent: forkful::bind(scale, 2.5).
template <class F = detail::OverloadSet, class... A>
[[nodiscard]] auto bind(F function, const A&... front) {
  using Bound = detail::Bound<F, detail::encoded_t<A>...>;
  if constexpr (detail::require_shippable<Bound>()) {
    return Bound(std::move(function),
                 std::tuple<detail::encoded_t<A>...>(detail::encoded_t<A>(front)...));
  }
}

}  // namespace v0
}  // namespace forkful
