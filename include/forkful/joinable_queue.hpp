// A queue whose senders can wait until its messages have been dealt with.
//
//   forkful::JoinableQueue<Job> jobs;
//   jobs.put({.id = 7});
//   jobs.join();                       // until each job's receiver has said task_done()
#pragma once

#include <chrono>
#include <cstdint>
#include <forkful/bytes/task_count.hpp>
#include <forkful/queue.hpp>
#include <utility>

namespace forkful {
inline namespace v0 {

// A Queue, and passed on as one where a part of the program only puts: each message counts as
// unfinished from when it can be received, whoever sent it.
//
// Threads: any thread of any process of the family may call anything.
// Death:   as Queue: a sender that dies in put() has put its message, which then counts, or has
//          not. A receiver that dies with a message in hand leaves it unfinished, and join() waits
//          on: use join_for() where receivers may die, or call task_done() in their place.
// Fork:    usable in the child.
template <class T>
class JoinableQueue : public Queue<T> {
 public:
  // `most_messages` bounds the queue; 0: it grows as memory allows. Throws: std::invalid_argument,
  // when it is more than 2^31 - 1, as a negative number is.
  explicit JoinableQueue(std::uint32_t most_messages = 0,
                         const Label& label = std::source_location::current())
      : Queue<T>(most_messages, label), tasks_(bytes::TaskCount::create(label)) {}

  // What get() returned is done with; once for each message. Throws: Error, when all are.
  void task_done() const {
    if (!tasks_.task_done(this->raw())) {
      throw Error("task_done: all messages put into the " + this->raw().called("JoinableQueue") +
                  " are done with already; call it once for each one received");
    }
  }
  // Waits until all messages that were put are done with.
  void join() const {
    Wait forever;
    (void)join_with(forever);
  }
  // False: not in time, respectively not before the stop.
  [[nodiscard]] bool join_for(Duration duration) const {
    Wait wait(Deadline::in(duration));
    return join_with(wait);
  }
  template <class Clock, class Unit>
  [[nodiscard]] bool join_until(const std::chrono::time_point<Clock, Unit>& when) const {
    return detail::attempt_until(when, [&](Wait& wait) { return join_with(wait); });
  }
  [[nodiscard]] bool join(std::stop_token token) const {
    StopWait wait(std::move(token));
    return join_with(wait);
  }
  // Messages put and not done with, as of the moment of the look.
  [[nodiscard]] std::uint32_t unfinished() const { return tasks_.unfinished(this->raw()); }

  friend bool operator==(const JoinableQueue&, const JoinableQueue&) = default;

  // For sending handles.
  static void write(Writer& to, const JoinableQueue& queue) {
    to.share(queue.raw());
    to.share(queue.tasks_);
  }
  static JoinableQueue read(Reader& from) {
    auto queue = bytes::ByteQueue::adopt(from.raw<bytes::Shared::Id>());
    return {std::move(queue), bytes::TaskCount::adopt(from.raw<bytes::Shared::Id>())};
  }

 private:
  JoinableQueue(bytes::ByteQueue queue, bytes::TaskCount tasks)
      : Queue<T>(std::move(queue)), tasks_(std::move(tasks)) {}
  bool join_with(Wait& wait) const { return tasks_.join(this->raw(), wait) == Waited::done; }

  bytes::TaskCount tasks_;
};

template <class T>
struct codec<JoinableQueue<T>> {
  static void write(Writer& to, const JoinableQueue<T>& queue) {
    JoinableQueue<T>::write(to, queue);
  }
  static JoinableQueue<T> read(Reader& from) { return JoinableQueue<T>::read(from); }
};

namespace detail {
template <class T>
inline constexpr bool is_shared_handle<JoinableQueue<T>> = true;
}  // namespace detail

}  // namespace v0
}  // namespace forkful
