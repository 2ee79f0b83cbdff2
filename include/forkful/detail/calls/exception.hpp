// Exceptions on their way between processes.
//
// A standard exception arrives as its own type; one that is derived from a standard type more
// telling than std::runtime_error arrives as that; everything else, `throw 42` included, as
// RemoteError.
#pragma once

#include <exception>
#include <forkful/detail/calls/code.hpp>
#include <forkful/detail/codec/buffer.hpp>
#include <memory>
#include <type_traits>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace detail {

// Calls f(), and notes the stack of an exception that leaves it where that was thrown. Costs two
// indirect calls, and nothing else, while nothing is thrown.
void call_noting_throw(void (*f)(void*), void* argument);
template <class F>
void noting_throw(F&& f) {
  call_noting_throw([](void* argument) { (*static_cast<std::remove_reference_t<F>*>(argument))(); },
                    std::addressof(f));
}
// Takes the stack that was noted last in this thread, innermost frame first; empty where none was,
// or the machine's calls are not known to us. Places in code of no module are left out.
std::vector<CodePlace> take_noted_stack();

// Writes the exception being handled. Call in a catch block.
void write_current_exception(Writer& to);
// What was written, ready to be thrown; remote_info() tells where it came from.
std::exception_ptr read_exception(Reader& from);

}  // namespace detail
}  // namespace v0
}  // namespace forkful
