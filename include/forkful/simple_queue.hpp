// A queue without a bound, without much else.
#pragma once

#include <chrono>
#include <forkful/errors.hpp>
#include <forkful/queue.hpp>
#include <optional>
#include <stop_token>
#include <utility>

namespace forkful {
inline namespace v0 {

// Copies share one queue, and so does the copy that arrives when a SimpleQueue is sent.
//
// Threads: any thread of any process of the family may call anything, but close() only while
//          nobody else uses the same handle.
// Death, Fork, Throws: as Queue. Besides, everything but empty() and close() throws Error after
//          close().
template <class T>
class SimpleQueue {
 public:
  // Not explicit, so that `= {}` makes one.
  SimpleQueue(const Label& label = std::source_location::current())
      : queue_(std::in_place, 0, label) {}

  // The value is in the queue when put() returns.
  void put(const T& value) const { open().put(value); }
  void put(T&& value) const { open().put(std::move(value)); }
  // The oldest value.
  [[nodiscard]] T get() const { return open().get(); }
  // nullopt: nothing came in time, respectively before the stop.
  [[nodiscard]] std::optional<T> get_for(Duration duration) const {
    return open().get_for(duration);
  }
  template <class Clock, class Unit>
  [[nodiscard]] std::optional<T> get_until(const std::chrono::time_point<Clock, Unit>& when) const {
    return open().get_until(when);
  }
  [[nodiscard]] std::optional<T> get(std::stop_token token) const {
    return open().get(std::move(token));
  }
  [[nodiscard]] bool empty() const { return !queue_ || queue_->empty(); }

  // Gives this handle's share back before the handle ends. Other handles keep theirs, and the
  // values.
  void close() { queue_.reset(); }

  friend bool operator==(const SimpleQueue&, const SimpleQueue&) = default;

  // For sending handles.
  [[nodiscard]] const bytes::Shared& shared() const { return open().shared(); }
  static SimpleQueue adopt(bytes::Shared::Id id) { return SimpleQueue(Queue<T>::adopt(id)); }

 private:
  explicit SimpleQueue(Queue<T> queue) : queue_(std::move(queue)) {}
  [[nodiscard]] const Queue<T>& open() const {
    if (!queue_)
      throw Error("this SimpleQueue was closed here; make the copy to use before close()");
    return *queue_;
  }
  std::optional<Queue<T>> queue_;
};

}  // namespace v0
}  // namespace forkful
