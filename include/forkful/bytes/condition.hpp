// A place to wait for a notification. (Unstable; see condition.hpp, which brings the lock.)
#pragma once

#include <cstdint>
#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Knows no lock: its callers have one, of whatever kind, and hold it around enter() and notify().
//
//   const auto ticket = condition.enter();      // while the lock is held
//   … release the lock, however deep …
//   const Waited how = condition.wait(ticket, wait);
//   … take the lock again …
//
// Threads: any thread of any member.
// More go than were notified where three notifications come, with new waiters between each, and
// none has been heard by all whom it was for: then all who entered before the first of these go.
// Death:   a waiter that dies before it was notified takes no notification along, but a later
//          notify() may wake one more than it was asked to. One that dies after that takes its
//          notification with it. A notifier killed in notify() has notified or has not; who is to
//          wake may then do so at its next look: within half a second where few wait, eight at
//          most.
class RawCondition : public Shared {
 public:
  RawCondition() = default;
  static RawCondition create(const Label& label = {});
  static RawCondition adopt(Id id);

  // Joins those who wait. The ticket is for one wait(), which must follow.
  [[nodiscard]] std::uint64_t enter() const;
  // Done: notified. The ticket is used up in any case.
  Waited wait(std::uint64_t ticket, Wait& wait) const;
  // Notifies `count` of those who have entered so far; later ones have no part in it. Returns how
  // many that were: fewer where fewer wait.
  std::uint32_t notify(std::uint32_t count) const;
  std::uint32_t notify_all() const { return notify(0xffffffff); }
  // Those who wait and were not notified yet.
  [[nodiscard]] std::uint32_t waiters() const;

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
