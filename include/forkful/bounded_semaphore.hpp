// A semaphore that cannot be released more often than it was acquired.
#pragma once

#include <cstdint>
#include <forkful/semaphore.hpp>
#include <utility>

namespace forkful {
inline namespace v0 {

// As Semaphore; release() throws Error where the value would exceed the first one. Passed on as a
// Semaphore it keeps its bound.
//
// Threads, Death: as Semaphore.
class BoundedSemaphore : public Semaphore {
 public:
  explicit BoundedSemaphore(std::uint32_t value = 1,
                            const Label& label = std::source_location::current())
      : Semaphore(value, value, label) {}

  // For sending handles.
  static BoundedSemaphore adopt(bytes::Shared::Id id) {
    return BoundedSemaphore(bytes::RawSemaphore::adopt(id));
  }

 private:
  explicit BoundedSemaphore(bytes::RawSemaphore semaphore) : Semaphore(std::move(semaphore)) {}
};

}  // namespace v0
}  // namespace forkful
