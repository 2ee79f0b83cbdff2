// What a process is given at its start besides bytes. (Unstable.)
#pragma once

#include <cstdint>
#include <forkful/bytes/shared.hpp>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace bytes {

// The payload names an object by its id(), and a descriptor by its index here.
struct Carried {
  std::vector<Shared> shares;
  std::vector<int> descriptors;
};

// In the started process: the descriptor of that index, which is the caller's from now on.
// Throws: Error, when there is none, or it was taken already. Threads: any.
int take_carried_descriptor(std::uint32_t index);

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
