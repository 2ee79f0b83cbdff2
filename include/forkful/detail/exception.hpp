// Exceptions on their way between processes.
//
// A standard exception arrives as its own type; one that is derived from a standard type more
// telling than std::runtime_error arrives as that; everything else, `throw 42` included, as
// RemoteError.
#pragma once

#include <exception>
#include <forkful/detail/buffer.hpp>

namespace forkful {
inline namespace v0 {
namespace detail {

// Writes the exception being handled. Call in a catch block.
void write_current_exception(Writer& to);
// What was written, ready to be thrown; remote_info() tells where it came from.
std::exception_ptr read_exception(Reader& from);

}  // namespace detail
}  // namespace v0
}  // namespace forkful
