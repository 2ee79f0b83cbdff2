// A task or a result on its way: a head and some parts, in one record or in a block.
#pragma once

#include <forkful/bytes/part_list.hpp>

#include "channel/outgoing.hpp"
#include "kernel/fault.hpp"
#include "pool/parts.hpp"

namespace forkful::pool {

template <class T>
base::Bytes bytes_of(const T& object) {
  return std::as_bytes(std::span(&object, 1));
}

class Outgoing {
 public:
  // `as_block`: however few its bytes are, since the rest of it may have to be queued again.
  Outgoing(bytes::Bytes head, std::span<const bytes::Bytes> parts, bool as_block,
           bytes::Shares shares = {}, sync::IfStuck if_stuck = sync::IfStuck::wait)
      : if_stuck_(if_stuck), parts_(head, parts), message_(parts_.span(), shares, as_block) {}

  // Its block, where it needs one; before push(). Throws: as channel::Outgoing, here and below.
  void write() { message_.write(if_stuck_); }
  void push(channel::Ring ring, Offset clears = 0,
            const std::function<void(arena::Journal&)>& also = {}) {
    FORKFUL_FAULT("pool.pushing");
    must_be_sent(message_.push(ring, if_stuck_, clears, also));
    ring.words().not_empty().notify();
  }
  void give_up() { message_.give_up(); }

 private:
  struct Parts : bytes::PartList {
    Parts(bytes::Bytes head, std::span<const bytes::Bytes> parts) {
      add(head);
      for (const bytes::Bytes part : parts) add(part);
    }
  };
  sync::IfStuck if_stuck_;
  Parts parts_;
  channel::Outgoing message_;
};

}  // namespace forkful::pool
