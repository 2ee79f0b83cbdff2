// Numbers that nobody can foresee: a family's id, and what an invitation is recognized by.
#pragma once

#include <cstdint>

namespace forkful::kernel {

// 64 random bits. Throws: OsError.
std::uint64_t random_number();

}  // namespace forkful::kernel
