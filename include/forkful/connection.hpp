// One end of a pipe between two processes; see pipe.hpp.
//
//   forkful::Process child(serve, std::move(b));       // void serve(forkful::Connection c)
//   a.send(question);
//   auto answer = a.recv<std::string>();
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <forkful/bytes/connection.hpp>
#include <forkful/detail/calls/callable.hpp>
#include <forkful/detail/calls/start_only.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/errors.hpp>
#include <forkful/wait.hpp>
#include <limits>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

// Sends and receives values; the receiver names the type that was sent. The two directions are
// independent of each other. What it sends is bytes through a socket, so it works with poll() and
// select(), and the kernel says when the other end is gone.
//
// Threads:   any, beside each other; each value is sent whole, and received by one thread. But
//            close(), moving and destroying it belong to a thread that is alone with it.
// Ownership: one process has it. Move it into a Process; the destructor closes it.
// Death:     what a killed sender has sent whole is received, then recv() throws EndOfFile; never
//            half a value. That takes every copy of the other end to be gone, and a child started
//            by fork has copies of all ends that were open then.
// Fork:      an inherited one can only be closed; every other use throws Error.
// Throws:    OsError(EBADF) when it is closed; what the codec of T throws.
class Connection {
 public:
  // Waits while the other end has much to receive.
  // Throws: OsError(EPIPE) when the other end is gone; Error at an end that can only receive.
  template <class T>
  void send(const T& value) {
    Wait forever;
    (void)send_message(Encoded(value), forever);
  }
  // False: there was no room in time, and nothing was sent. Once the first byte is on its way, the
  // call takes as long as it takes.
  template <class T>
  [[nodiscard]] bool send_for(const T& value, Duration duration) {
    Wait wait(Deadline::in(duration));
    return send_message(Encoded(value), wait);
  }
  template <class T, class Clock, class Unit>
  [[nodiscard]] bool send_until(const T& value, const std::chrono::time_point<Clock, Unit>& when) {
    const Encoded message(value);
    return detail::attempt_until(when, [&](Wait& wait) { return send_message(message, wait); });
  }
  void send_bytes(std::span<const std::byte> message) {
    Wait forever;
    (void)ours().send({&message, 1}, forever);
  }

  // The next value. T is the type that was sent; a string for text that was sent as const char*.
  // Throws, all of them: EndOfFile; Error at an end that can only send.
  template <class T>
  [[nodiscard]] T recv() {
    for (;;) {
      Wait wait;
      if (auto value = take<T>(wait)) return std::move(*value);
    }
  }
  // nullopt: no whole value came in time. What has come of it stays for the next call.
  template <class T>
  [[nodiscard]] std::optional<T> recv_for(Duration duration) {
    Wait wait(Deadline::in(duration));
    return take<T>(wait);
  }
  template <class T, class Clock, class Unit>
  [[nodiscard]] std::optional<T> recv_until(const std::chrono::time_point<Clock, Unit>& when) {
    return detail::attempt_until(when, [&](Wait& wait) { return take<T>(wait); });
  }
  // nullopt: a stop was requested.
  template <class T>
  [[nodiscard]] std::optional<T> recv(std::stop_token token) {
    StopWait wait(std::move(token));
    return take<T>(wait);
  }
  // Throws: Error for a message above `most_bytes`; nothing can be received any more then.
  [[nodiscard]] std::vector<std::byte> recv_bytes(
      std::uint64_t most_bytes = std::numeric_limits<std::uint64_t>::max()) {
    bytes::ReceivedBytes message;
    Wait wait;
    while (ours().receive(message, wait, most_bytes) != Waited::done) {
    }
    return {message.bytes().begin(), message.bytes().end()};
  }

  // Whether something came within `duration`: a value, part of one, or the end.
  [[nodiscard]] bool poll(Duration duration = std::chrono::nanoseconds::zero()) {
    Wait wait(Deadline::in(duration));
    return ours().poll(wait) == Waited::done;
  }

  // The other end receives what was sent, and then EndOfFile. Does nothing the second time.
  void close() noexcept { connection_.close(); }
  [[nodiscard]] bool is_open() const noexcept { return connection_.is_open(); }
  [[nodiscard]] bool readable() const noexcept { return connection_.readable(); }
  [[nodiscard]] bool writable() const noexcept { return connection_.writable(); }
  // For poll() and select(), which say what poll() says.
  [[nodiscard]] int fileno() const { return connection_.fileno(); }

  // Takes the connection of the untyped layer.
  explicit Connection(bytes::RawConnection connection) noexcept
      : connection_(std::move(connection)) {}

  // For its way into a process.
  static void write(Writer& to, const Connection& connection) {
    const bytes::RawConnection& raw = connection.connection_;
    const int fd = raw.fileno();
    if (!raw.is_ours()) refuse_inherited();
    if (!raw.is_between_messages()) {
      throw Error("a Connection cannot move to another process in the middle of a message");
    }
    to.descriptor(fd);
    to.raw(raw.readable());
    to.raw(raw.writable());
  }
  static Connection read(Reader& from) {
    const int fd = bytes::take_carried_descriptor(from.raw<std::uint32_t>());
    const bool readable = from.raw<bool>();
    return Connection(bytes::RawConnection::from_fd(fd, readable, from.raw<bool>()));
  }

 private:
  // A value as it is sent.
  class Encoded {
   public:
    template <class T>
    explicit Encoded(const T& value) {
      using E = detail::encoded_t<T>;
      static_assert(!detail::is_start_only<E>,
                    "forkful: a Connection is passed to a Process when that starts, by std::move, "
                    "and by no other way: not through another Connection");
      detail::write_argument<E>(bytes_, value);
      if (bytes_.shares().empty()) return;
      // What lies in a socket's buffer can hold nothing: its parcel does.
      parcel_.emplace(bytes_.shares());
      bytes_.raw(parcel_->id());
    }
    template <class Send>
    bool send(Send&& send) const {
      if (parcel_) parcel_->sent();
      bool sent = false;
      try {
        sent = send(bytes_.view());
      } catch (...) {
        not_sent();
        throw;
      }
      if (!sent) not_sent();
      return sent;
    }

   private:
    void not_sent() const {
      if (parcel_) bytes::Parcel::received(parcel_->id());
    }
    detail::Writer bytes_;
    std::optional<bytes::Parcel> parcel_;
  };

  // Lets go of what held the handles in a value, once they are adopted or it cannot be read.
  class Unpacked {
   public:
    explicit Unpacked(bytes::Bytes message) : message_(message) {}
    ~Unpacked() {
      constexpr std::size_t kNameBytes = sizeof(bytes::Shared::Id);
      if (message_.size() < kNameBytes) return;
      detail::Reader from(message_.last(kNameBytes));
      try {
        bytes::Parcel::received(from.raw<bytes::Shared::Id>());
      } catch (const Error&) {
        // Why: its memory cannot be reached. What it holds stays until the family ends.
      }
    }
    Unpacked(const Unpacked&) = delete;
    Unpacked& operator=(const Unpacked&) = delete;

   private:
    bytes::Bytes message_;
  };

  [[noreturn]] static void refuse_inherited() {
    throw Error(
        "this Connection was inherited by a fork and belongs to the parent: move it into the "
        "Process that is to use it, Process(f, std::move(connection))");
  }
  bytes::RawConnection& ours() {
    if (connection_.is_open() && !connection_.is_ours()) refuse_inherited();
    return connection_;
  }
  bool send_message(const Encoded& message, Wait& wait) {
    return message.send(
        [&](bytes::Bytes bytes) { return ours().send({&bytes, 1}, wait) == Waited::done; });
  }
  template <class T>
  std::optional<T> take(Wait& wait) {
    static_assert(!detail::is_start_only<T>,
                  "forkful: no Connection comes through another Connection");
    bytes::ReceivedBytes message;
    if (ours().receive(message, wait) != Waited::done) return std::nullopt;
    const Unpacked unpacked(message.bytes());
    detail::Reader from(message.bytes());
    return std::optional<T>(detail::read_value<T>(from));
  }

  bytes::RawConnection connection_;
};

template <>
struct codec<Connection> {
  static void write(Writer& to, const Connection& connection) { Connection::write(to, connection); }
  static Connection read(Reader& from) { return Connection::read(from); }
};

namespace detail {
template <>
inline constexpr bool goes_with_a_start<Connection> = true;

inline std::vector<Connection*> wait_readable(const std::vector<Connection*>& connections,
                                              Deadline deadline) {
  std::vector<int> descriptors;
  descriptors.reserve(connections.size());
  for (const Connection* each : connections) descriptors.push_back(each->fileno());
  Wait wait(deadline);
  std::vector<Connection*> ready;
  for (const std::size_t index : bytes::wait_readable(descriptors, wait)) {
    ready.push_back(connections[index]);
  }
  return ready;
}
}  // namespace detail

// Those of `connections` for which poll() is true, once there is one: wait_readable({&a, &b}).
// None at once when there is none to wait for. Throws: OsError(EBADF) when one is closed.
[[nodiscard]] inline std::vector<Connection*> wait_readable(
    const std::vector<Connection*>& connections) {
  return detail::wait_readable(connections, Deadline::never());
}
// None: nothing came in time.
[[nodiscard]] inline std::vector<Connection*> wait_readable_for(
    const std::vector<Connection*>& connections, Duration duration) {
  return detail::wait_readable(connections, Deadline::in(duration));
}

}  // namespace v0
}  // namespace forkful
