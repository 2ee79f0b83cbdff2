// OsError is made here and nowhere else: which call failed, on what object, with errno as it was.
#pragma once

#include <string>

namespace forkful::kernel {

// `object` is what the user knows the thing by ("the shared memory 'x'"), since a descriptor's
// number tells nothing in a message.
[[noreturn]] void throw_errno(const char* call, const std::string& object);
// For calls that return their error, and for errors of our own making.
[[noreturn]] void throw_error(int error, const char* call, const std::string& object);

}  // namespace forkful::kernel
