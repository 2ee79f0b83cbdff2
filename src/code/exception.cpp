// Exceptions on their way: one that is being handled becomes bytes, and bytes become an exception
// of the same type where both processes know the type.
//
// Known are forkful's own types and those of the standard library. Each comes back as a Remote of
// its type, so that a catch clause of that type finds it, with the RemoteInfo of where it was
// thrown; an OsError comes back as the std::system_error that it is. What is of another type comes
// back as a RemoteError, which names the type.
#include <cxxabi.h>

#include <any>
#include <forkful/detail/calls/exception.hpp>
#include <forkful/detail/codec/codec.hpp>
#include <forkful/errors.hpp>
#include <functional>
#include <future>
#include <ios>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>

#include "code/demangle.hpp"
#include "kernel/process_info.hpp"

namespace forkful {
inline namespace v0 {

// An exception of type E that came from another process. Nobody names this type, but whoever does
// not catch it reads its name: so it has a plain one.
template <class E>
class Remote final : public E, public RemoteInfo {
 public:
  template <class... A>
  Remote(std::string what, RemoteInfo info, A&&... arguments)
      : E(std::forward<A>(arguments)...), RemoteInfo(std::move(info)), what_(std::move(what)) {}
  [[nodiscard]] const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

namespace detail {
namespace {

// The bytes are {kind, pid, type, frames, what, numbers}; see write_current_exception().
struct Flat {
  std::uint32_t kind = 0;  // index in kKnown, or one of the special ones
  RemoteInfo info;
  std::string what;
  int numbers[4] = {};
};

template <class E>
std::exception_ptr rebuild(const Flat& flat) {
  // Types such as std::bad_alloc take no text: for these only Remote::what() has it.
  if constexpr (std::is_constructible_v<E, std::string>) {
    return std::make_exception_ptr(Remote<E>(flat.what, flat.info, flat.what));
  } else {
    return std::make_exception_ptr(Remote<E>(flat.what, flat.info));
  }
}

// How a type is known, and made again. By functions, since no table can hold types.
struct KnownType {
  bool (*matches)(const std::exception&);
  std::exception_ptr (*rebuild)(const Flat&);
};
template <class E>
constexpr KnownType known() {
  return {[](const std::exception& error) { return dynamic_cast<const E*>(&error) != nullptr; },
          rebuild<E>};
}
// A program's own types are derived from these, and must not come back as if they were these.
template <class E>
constexpr KnownType exactly() {
  return {[](const std::exception& error) { return typeid(error) == typeid(E); }, rebuild<E>};
}

// Derived types come before their bases. Both processes run this same list, so an index names a
// type.
constexpr KnownType kKnown[] = {
    known<Cancelled>(),
    known<ShutDown>(),
    known<EndOfFile>(),
    known<LockOwnerDied>(),
    known<TimeoutError>(),
    known<NotInitialized>(),
    known<BadCapture>(),
    known<LayoutMismatch>(),
    known<BrokenBarrier>(),
    known<std::domain_error>(),
    known<std::invalid_argument>(),
    known<std::length_error>(),
    known<std::out_of_range>(),
    known<std::range_error>(),
    known<std::overflow_error>(),
    known<std::underflow_error>(),
    known<std::bad_array_new_length>(),
    known<std::bad_alloc>(),
    known<std::bad_any_cast>(),
    known<std::bad_cast>(),
    known<std::bad_typeid>(),
    known<std::bad_optional_access>(),
    known<std::bad_variant_access>(),
    known<std::bad_function_call>(),
    known<std::bad_weak_ptr>(),
    known<std::bad_exception>(),
    exactly<std::logic_error>(),
    exactly<std::runtime_error>(),
    exactly<Error>(),
};
// Above every index in kKnown, with room for more of these.
constexpr std::uint32_t kRemote = 1000;
constexpr std::uint32_t kWorkerDied = 1001;
constexpr std::uint32_t kSystem = 1002;

// Categories are told by their addresses, which differ between processes, so an index goes in their
// place.
const std::error_category* const kCategories[] = {&std::generic_category(), &std::system_category(),
                                                  &std::iostream_category(),
                                                  &std::future_category()};

std::string name_of(const std::type_info* type) {
  return type != nullptr ? process::demangled(type->name()) : "an unknown type";
}

// Fills in what the kind needs besides its text.
void classify(const std::exception& error, Flat& flat) {
  // Before the table: these two have more than a text.
  if (const auto* died = dynamic_cast<const WorkerDied*>(&error)) {
    flat.kind = kWorkerDied;
    flat.numbers[0] = died->pid();
    flat.numbers[1] = died->signal();
    flat.numbers[2] = died->exit_code();
    flat.numbers[3] = static_cast<int>(died->item());
    return;
  }
  if (const auto* system = dynamic_cast<const std::system_error*>(&error)) {
    for (int i = 0; i < 4; ++i) {
      // A program's own category is none of these, and such an error comes back as a RemoteError.
      if (system->code().category() != *kCategories[i]) continue;
      flat.kind = kSystem;
      flat.numbers[0] = system->code().value();
      flat.numbers[1] = i;
      return;
    }
  }
  for (std::uint32_t i = 0; i < std::size(kKnown); ++i) {
    if (!kKnown[i].matches(error)) continue;
    flat.kind = i;
    return;
  }
  // A RemoteError names the type in its text already.
  if (dynamic_cast<const RemoteError*>(&error) == nullptr) {
    flat.what = flat.info.type + ": " + flat.what;
  }
}

Flat flatten_current() {
  Flat flat;
  flat.kind = kRemote;
  flat.info = {kernel::current_pid(), name_of(abi::__cxa_current_exception_type()),
               take_noted_stack()};
  // Thrown once more, which is the one way to look at what is being handled, whatever its type.
  try {
    throw;
  } catch (const std::exception& error) {
    const char* const what = error.what();
    flat.what = what != nullptr ? what : "(what() gave no text)";
    // It has come from a third process, whose stack is the one to show.
    if (const RemoteInfo* info = remote_info(error)) flat.info = *info;
    classify(error, flat);
  } catch (...) {
    flat.what = "something of type " + flat.info.type + " was thrown, which is no std::exception";
  }
  return flat;
}

}  // namespace

void write_current_exception(Writer& to) {
  const Flat flat = flatten_current();
  to.raw(flat.kind);
  to.raw(flat.info.pid);
  write_value(to, flat.info.type);
  write_value(to, flat.info.frames);
  write_value(to, flat.what);
  to.raw(flat.numbers);
}

std::exception_ptr read_exception(Reader& from) {
  // Another process wrote it: the Reader refuses lengths that cannot be, and a kind that is none of
  // ours comes back as a RemoteError.
  Flat flat;
  flat.kind = from.raw<std::uint32_t>();
  flat.info.pid = from.raw<int>();
  flat.info.type = read_value<std::string>(from);
  flat.info.frames = read_value<std::vector<CodePlace>>(from);
  flat.what = read_value<std::string>(from);
  from.bytes(flat.numbers, sizeof flat.numbers);
  if (flat.kind < std::size(kKnown)) return kKnown[flat.kind].rebuild(flat);
  if (flat.kind == kWorkerDied) {
    return std::make_exception_ptr(
        Remote<WorkerDied>(flat.what, flat.info, flat.what, flat.numbers[0], flat.numbers[1],
                           flat.numbers[2], static_cast<std::uint32_t>(flat.numbers[3])));
  }
  if (flat.kind == kSystem) {
    // Modulo, since the number is another process's.
    const auto& category = *kCategories[static_cast<unsigned>(flat.numbers[1]) % 4];
    return std::make_exception_ptr(Remote<std::system_error>(
        flat.what, flat.info, std::error_code(flat.numbers[0], category)));
  }
  return std::make_exception_ptr(RemoteError(flat.what, flat.info));
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
