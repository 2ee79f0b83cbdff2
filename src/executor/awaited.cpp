// Waiting for whichever job of several pools ends first, for as_completed() and wait(). In the
// thread that waits.
#include <algorithm>
#include <forkful/detail/executor/awaited.hpp>

#include "executor/state.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {

void Awaited::add(const std::shared_ptr<PoolClient>& client, Job& job) {
  client->watch(job, ended_);
  if (std::find(clients_.begin(), clients_.end(), client) == clients_.end()) {
    clients_.push_back(client);
  }
}

// With several clients, each is drained for a moment in turn, and this thread sleeps in one of
// them.
Job* Awaited::next(Deadline deadline) {
  for (;;) {
    for (const auto& client : clients_) {
      if (clients_.size() > 1) (void)client->wait(*ended_, Deadline::poll());
    }
    if (Job* const ended = ended_->take()) return ended;
    if (clients_.empty()) return nullptr;
    PoolClient& sleeper = *clients_[turn_++ % clients_.size()];
    // Of several pools only the one that this thread sleeps in is collected from, so it looks at
    // the others as often as a pool looks at its workers.
    const auto slice = clients_.size() > 1 ? Deadline::in(kLookEvery) : Deadline::never();
    if (!sleeper.wait(*ended_, soonest(deadline, slice)) && is_past(deadline)) return nullptr;
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
