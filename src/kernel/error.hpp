// OsError is made here and nowhere else.
#pragma once

#include <string>

namespace forkful::kernel {

[[noreturn]] void throw_errno(const char* call, const std::string& object);
[[noreturn]] void throw_error(int error, const char* call, const std::string& object);

}  // namespace forkful::kernel
