// An Event is an EventWord in an object of the arena; sync/event_word.hpp says what a death leaves.
#include <forkful/bytes/event.hpp>

#include "arena/shares.hpp"
#include "sync/event_word.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {

RawEvent RawEvent::create(const Label& label) {
  return RawEvent(arena::create_object<sync::EventWord>(arena::Kind::event, label));
}

RawEvent RawEvent::adopt(Id id) {
  return RawEvent(arena::adopt_object<sync::EventWord>(arena::Kind::event, id));
}

void RawEvent::set() const { held_->body<sync::EventWord>().set(); }
void RawEvent::clear() const { held_->body<sync::EventWord>().clear(); }
bool RawEvent::is_set() const { return held_->body<sync::EventWord>().is_set(); }

Waited RawEvent::wait(Wait& wait) const {
  return held_->body<sync::EventWord>().wait(wait, held_->budget);
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
