// A counting semaphore. (Unstable; see semaphore.hpp.)
#pragma once

#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Threads: any thread of any member. Death: a member that dies with a permit keeps it.
class RawSemaphore : public Shared {
 public:
  RawSemaphore() = default;
  static RawSemaphore create(std::uint32_t value, std::uint32_t most = 0x7fffffff,
                             const Label& label = {});
  static RawSemaphore adopt(Id id);

  Waited acquire(Wait& wait) const;
  [[nodiscard]] bool try_acquire() const;
  // False when the value would exceed `most`; nothing changed then.
  [[nodiscard]] bool release() const;
  [[nodiscard]] std::uint32_t value() const;
  [[nodiscard]] std::uint32_t most() const;

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
