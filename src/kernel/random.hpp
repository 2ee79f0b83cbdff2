// Numbers that nobody can foresee.
#pragma once

#include <cstdint>

namespace forkful::kernel {

// 64 random bits. Throws: OsError.
std::uint64_t random_number();

}  // namespace forkful::kernel
