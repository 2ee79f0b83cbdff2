// A flag to wait for. (Unstable; see event.hpp.)
#pragma once

#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Threads: any thread of any member. A waiter that dies changes nothing.
class RawEvent : public Shared {
 public:
  RawEvent() = default;
  static RawEvent create(const Label& label = {});
  static RawEvent adopt(Id id);

  void set() const;
  void clear() const;
  [[nodiscard]] bool is_set() const;
  // Done also when the flag was set and cleared again meanwhile.
  Waited wait(Wait& wait) const;

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
