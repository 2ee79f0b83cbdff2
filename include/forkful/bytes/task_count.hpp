// How many of a queue's messages are done with. (Unstable; see joinable_queue.hpp.)
#pragma once

#include <cstdint>
#include <forkful/bytes/queue.hpp>
#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Counts what is done; what there is to do, the queue counts itself, by the very store that makes
// a message visible. So no sender that dies can leave the two at odds. The same queue belongs to
// every call on one TaskCount, from the queue's first message on.
//
// Threads: any thread of any member.
// Death:   a receiver that dies with a message never reports it done: it stays unfinished.
class TaskCount : public Shared {
 public:
  TaskCount() = default;
  static TaskCount create(const Label& label = {});
  static TaskCount adopt(Id id);

  // One message is done with. False when all of them were: nothing changed then.
  [[nodiscard]] bool task_done(const ByteQueue& queue) const;
  // Waits until every message that was put is done with.
  Waited join(const ByteQueue& queue, Wait& wait) const;
  [[nodiscard]] std::uint32_t unfinished(const ByteQueue& queue) const;

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
