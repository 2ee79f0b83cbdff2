// A queue of values between processes.
//
//   forkful::Queue<Job> jobs;
//   jobs.put({.id = 7});
//   for (Job job : jobs) …            // ends when the queue is shut down and empty
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <forkful/bytes/queue.hpp>
#include <forkful/detail/calls/start_only.hpp>
#include <forkful/detail/codec/codec.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/errors.hpp>
#include <forkful/wait.hpp>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

// Copies share one queue, and so does the copy that arrives when a Queue is sent: as an argument,
// in a struct, or through another queue.
//
// Threads: any thread of any process of the family may call anything.
// Death:   a sender killed in put() leaves no visible message; a receiver killed in get() leaves
//          the message, or takes it with it, never half of it.
// Fork:    usable in the child.
// Throws:  what the codec of T throws; OsError(ENOSPC) where memory is short.
template <class T>
class Queue {
 public:
  class Iterator;

  // `most_messages` bounds the queue; 0: it grows as memory allows. Throws: std::invalid_argument,
  // when it is more than 2^31 - 1, as a negative number is.
  explicit Queue(std::uint32_t most_messages = 0,
                 const Label& label = std::source_location::current())
      : queue_(bytes::ByteQueue::create(most_messages, label)) {
    if constexpr (detail::require_codable<T>()) {
      static_assert(!detail::is_start_only<T>,
                    "forkful: a Connection cannot be sent through a queue. Remedy: pass it to a "
                    "Process when that starts, with std::move(connection)");
    }
  }

  // The value is in the queue when put() returns; it waits while a bounded queue is full.
  // Throws: ShutDown.
  void put(const T& value) const {
    Wait forever;
    (void)send(value, forever);
  }
  void put(T&& value) const { put(std::as_const(value)); }
  // False when the queue is full, respectively was full in time, or until the stop.
  [[nodiscard]] bool try_put(const T& value) const {
    Wait poll(Deadline::poll());
    return send(value, poll);
  }
  [[nodiscard]] bool put_for(const T& value, Duration duration) const {
    Wait wait(Deadline::in(duration));
    return send(value, wait);
  }
  template <class Clock, class Unit>
  [[nodiscard]] bool put_until(const T& value,
                               const std::chrono::time_point<Clock, Unit>& when) const {
    const Encoded message(value);
    return detail::attempt_until(
        when, [&](Wait& wait) { return send_parts(message.parts(), wait, message.shares()); });
  }
  [[nodiscard]] bool put(const T& value, std::stop_token token) const {
    StopWait wait(std::move(token));
    return send(value, wait);
  }

  // The oldest value. Throws: ShutDown, when the queue is shut down and empty.
  [[nodiscard]] T get() const {
    for (;;) {
      Wait wait;
      if (auto value = take(wait)) return std::move(*value);
    }
  }
  // nullopt: nothing came in time.
  [[nodiscard]] std::optional<T> try_get() const {
    Wait poll(Deadline::poll());
    return take(poll);
  }
  [[nodiscard]] std::optional<T> get_for(Duration duration) const {
    Wait wait(Deadline::in(duration));
    return take(wait);
  }
  template <class Clock, class Unit>
  [[nodiscard]] std::optional<T> get_until(const std::chrono::time_point<Clock, Unit>& when) const {
    return detail::attempt_until(when, [&](Wait& wait) { return take(wait); });
  }
  // nullopt: a stop was requested.
  [[nodiscard]] std::optional<T> get(std::stop_token token) const {
    StopWait wait(std::move(token));
    return take(wait);
  }

  // Wakes everybody. put() throws from now on; get() empties the queue first.
  void shut_down() const { queue_.shut_down(); }
  // Exact for the moment of the look.
  [[nodiscard]] std::size_t size() const { return queue_.size(); }
  [[nodiscard]] bool empty() const { return size() == 0; }

  // Each step of a range-for gets a value; the loop ends after the shutdown.
  [[nodiscard]] Iterator begin() const { return Iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

  friend bool operator==(const Queue&, const Queue&) = default;

  // For sending handles.
  [[nodiscard]] const bytes::Shared& shared() const { return queue_; }
  static Queue adopt(bytes::Shared::Id id) { return Queue(bytes::ByteQueue::adopt(id)); }

 protected:
  explicit Queue(bytes::ByteQueue queue) : queue_(std::move(queue)) {}
  [[nodiscard]] const bytes::ByteQueue& raw() const { return queue_; }

 private:
  // A value as its message: encoded once, however often it is tried. Its large pieces are copied
  // from where they are into the memory that travels, so the value must stay as it is.
  class Encoded {
   public:
    explicit Encoded(const T& value) {
      message_.refer_into(referred_);
      detail::write_value<T>(message_, value);
      if (!referred_.empty()) parts_ = message_.parts();
      whole_ = message_.view();
    }
    Encoded(const Encoded&) = delete;
    Encoded& operator=(const Encoded&) = delete;
    [[nodiscard]] std::span<const bytes::Bytes> parts() const {
      if (parts_.empty()) return {&whole_, 1};
      return parts_;
    }
    [[nodiscard]] bytes::Shares shares() const { return message_.shares(); }

   private:
    detail::Writer message_;
    std::vector<detail::Writer::Referred> referred_;
    std::vector<bytes::Bytes> parts_;
    bytes::Bytes whole_;
  };

  bool send(const T& value, Wait& wait) const {
    if constexpr (!detail::require_codable<T>()) {
      return false;  // the compiler says why
    } else if constexpr (detail::is_bytewise<T>()) {
      const bytes::Bytes part = std::as_bytes(std::span(std::addressof(value), 1));
      return send_parts({&part, 1}, wait);
    } else {
      const Encoded message(value);
      return send_parts(message.parts(), wait, message.shares());
    }
  }
  bool send_parts(std::span<const bytes::Bytes> parts, Wait& wait,
                  bytes::Shares shares = {}) const {
    switch (queue_.put(parts, wait, shares)) {
      case bytes::ByteQueue::Put::sent:
        return true;
      case bytes::ByteQueue::Put::shut_down:
        throw ShutDown("put: the " + queue_.called("Queue") + " was shut down");
      default:
        return false;
    }
  }

  std::optional<T> take(Wait& wait) const {
    bytes::ByteMessage message;
    switch (queue_.get(message, wait)) {
      case bytes::ByteQueue::Got::received:
        break;
      case bytes::ByteQueue::Got::shut_down:
        throw ShutDown("get: the " + queue_.called("Queue") + " was shut down and is empty");
      default:
        return std::nullopt;
    }
    detail::Reader from(message.bytes());
    return std::optional<T>(detail::read_value<T>(from));
  }

  bytes::ByteQueue queue_;
};

template <class T>
class Queue<T>::Iterator {
 public:
  using value_type = T;
  using difference_type = std::ptrdiff_t;

  explicit Iterator(Queue queue) : queue_(std::move(queue)) { ++*this; }
  Iterator& operator++() {
    try {
      value_.emplace(queue_.get());
    } catch (const ShutDown&) {
      value_.reset();
    }
    return *this;
  }
  void operator++(int) { ++*this; }
  T& operator*() const { return *value_; }
  bool operator==(std::default_sentinel_t) const { return !value_.has_value(); }

 private:
  Queue queue_;
  mutable std::optional<T> value_;
};

}  // namespace v0
}  // namespace forkful
