#include "kernel/error.hpp"

#include <cerrno>
#include <forkful/errors.hpp>

namespace forkful::kernel {

void throw_errno(const char* call, const std::string& object) {
  throw OsError(errno, call, object);
}

void throw_error(int error, const char* call, const std::string& object) {
  throw OsError(error, call, object);
}

}  // namespace forkful::kernel
