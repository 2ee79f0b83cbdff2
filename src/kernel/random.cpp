#include "kernel/random.hpp"

#include <sys/random.h>

#include "kernel/error.hpp"

namespace forkful::kernel {

// Of the kernel at each call, so that a fork needs no new seed.
std::uint64_t random_number() {
  std::uint64_t number = 0;
  // Kernel: so few bytes come whole, and no signal interrupts them.
  if (::getrandom(&number, sizeof number, 0) != sizeof number) {
    throw_errno("getrandom", "a random number");
  }
  return number;
}

}  // namespace forkful::kernel
