// A message on its way into a ring. One that is large, or names objects, is written to a run first,
// which is freed unless the message was sent.
#pragma once

#include <algorithm>

#include "channel/ring.hpp"
#include "message/block.hpp"

namespace forkful::channel {

class Outgoing {
 public:
  // `parts` and `shares` must outlive it. `as_run`: whatever its size. `but`: an object that need
  // not be held, since it holds the ring.
  Outgoing(std::span<const Bytes> parts, bytes::Shares shares, bool as_run = false, Offset but = 0)
      : parts_(parts), size_(message::total_bytes(parts)), shares_(shares), but_(but) {
    const auto is_but = [&](const bytes::Shared& each) { return each.id().offset == but; };
    needs_run_ =
        as_run || size_ > bytes::kInlineBytes || !std::all_of(shares.begin(), shares.end(), is_but);
  }

  // Writes its run, where it needs one and has not written it yet; ahead of push().
  // Throws: OsError(ENOSPC); sync::StuckLock, with IfStuck::leave. It may be called again then.
  void write(sync::IfStuck if_stuck) {
    if (!needs_run_ || is_written_) return;
    message::write_block(run_, parts_, size_, shares_, but_, if_stuck);
    is_written_ = true;
  }
  // The word at `clears` becomes 0 in the same commit, and `also` is staged with a run.
  // Throws: OsError(ENOSPC), where the ring has to grow, and as write(); nothing was sent then,
  // and it may be tried again.
  Ring::Push push(Ring& ring, sync::IfStuck if_stuck, Offset clears = 0,
                  const std::function<void(Journal&)>& also = {}) {
    if (!needs_run_) return ring.try_push(parts_, size_, clears, if_stuck);
    const auto both = [&](Journal& journal) {
      journal.set(clears, 0);
      if (also) also(journal);
    };
    const Ring::Push how = clears != 0 ? ring.try_push_run(run_.get(), size_, both, if_stuck)
                                       : ring.try_push_run(run_.get(), size_, also, if_stuck);
    if (how == Ring::Push::sent) run_.release();  // it is the ring's
    return how;
  }
  // It will not be sent. Where the arena's lock is stuck its run is left to the member's end.
  void give_up() { run_.free_unless_stuck(); }

 private:
  std::span<const Bytes> parts_;
  std::size_t size_;
  bytes::Shares shares_;
  Offset but_;
  bool needs_run_ = false;
  bool is_written_ = false;
  arena::OwnRun run_;
};

}  // namespace forkful::channel
