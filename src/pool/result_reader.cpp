// The frames of a message of results, as whoever reads them may trust them: a worker, or whoever
// has written over its memory, may have left anything.
#include <forkful/bytes/task_pool.hpp>
#include <forkful/errors.hpp>

#include "base/bytes.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {

ResultReader::ResultReader(Bytes message) : rest_(message) {
  if (rest_.size() < sizeof head_) throw Error("a pool's result is damaged");
  std::memcpy(&head_, rest_.data(), sizeof head_);
  rest_ = rest_.subspan(sizeof head_);
  // next() counts up before it shows a frame.
  index_ = head_.first + head_.start - 1;
}

bool ResultReader::next() {
  if (seen_ == head_.progress >> 40) return false;
  ++seen_;
  ++index_;
  if (rest_.size() < sizeof frame_) throw Error("a pool's result is damaged");
  std::memcpy(&frame_, rest_.data(), sizeof frame_);
  rest_ = rest_.subspan(sizeof frame_);
  // The last frame's padding may be missing, and sizes are another process's.
  const std::uint64_t padded = base::round_up(frame_.size, 8);
  if (frame_.size > rest_.size()) throw Error("a pool's result is damaged");
  payload_ = rest_.first(frame_.size);
  rest_ = rest_.subspan(padded < rest_.size() ? padded : rest_.size());
  return true;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
