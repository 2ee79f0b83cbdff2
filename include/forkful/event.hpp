// A flag that processes wait for.
#pragma once

#include <chrono>
#include <forkful/bytes/event.hpp>
#include <forkful/detail/waits/until.hpp>
#include <stop_token>
#include <utility>

namespace forkful {
inline namespace v0 {

// Copies share one flag, and so does the copy that arrives when an Event is sent.
//
// Threads: any thread of any process of the family. Death: a waiter that dies changes nothing.
class Event {
 public:
  // Not explicit, so that `= {}` makes one.
  Event(const Label& label = std::source_location::current())
      : event_(bytes::RawEvent::create(label)) {}

  void set() const { event_.set(); }
  void clear() const { event_.clear(); }
  [[nodiscard]] bool is_set() const { return event_.is_set(); }

  // Returns also when the flag was set and cleared again meanwhile.
  void wait() const {
    Wait forever;
    (void)event_.wait(forever);
  }
  // False when it was not set in time, respectively before the stop.
  [[nodiscard]] bool wait_for(Duration duration) const {
    Wait until(Deadline::in(duration));
    return event_.wait(until) == Waited::done;
  }
  template <class Clock, class Unit>
  [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Unit>& when) const {
    return detail::attempt_until(when,
                                 [&](Wait& wait) { return event_.wait(wait) == Waited::done; });
  }
  [[nodiscard]] bool wait(std::stop_token token) const {
    StopWait until(std::move(token));
    return event_.wait(until) == Waited::done;
  }

  friend bool operator==(const Event&, const Event&) = default;

  // For sending handles.
  [[nodiscard]] const bytes::Shared& shared() const { return event_; }
  static Event adopt(bytes::Shared::Id id) { return Event(bytes::RawEvent::adopt(id)); }

 private:
  explicit Event(bytes::RawEvent event) : event_(std::move(event)) {}
  bytes::RawEvent event_;
};

}  // namespace v0
}  // namespace forkful
