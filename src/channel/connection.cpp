// Messages over a socket or a pipe, framed as Python's multiprocessing.connection frames them:
// {length, bytes}. Each step moves what it can without waiting (kernel/stream.cpp), and a wait
// between two steps sleeps in slices.
//
// Threads: any number may send and receive; a Turn at each direction keeps messages whole. A
// process that is killed in the middle of a message leaves half of it in the stream, after which
// the other end reads the end of the file.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <forkful/bytes/connection.hpp>
#include <forkful/errors.hpp>
#include <new>
#include <string>

#include "channel/turn.hpp"
#include "kernel/error.hpp"
#include "kernel/fault.hpp"
#include "kernel/fd.hpp"
#include "kernel/process_info.hpp"
#include "kernel/socket.hpp"
#include "kernel/stream.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

using channel::EndOfTurn;
using channel::Turn;
using kernel::Flow;
using sync::Blocking;

// The header is Python's: a signed length of four bytes, or -1 and then a length of eight.
constexpr std::uint64_t kMostShort = 0x7fffffff;  // the longest with a length of four bytes
constexpr std::size_t kShortHeader = 4;
constexpr std::size_t kLongHeader = 12;
// Memory taken ahead of the bytes. A guess: most messages need no second step, and one that never
// comes costs little.
constexpr std::size_t kAhead = 1 << 20;
constexpr std::uint64_t kAbsurd = std::uint64_t{1} << 48;  // no address space holds it
using Header = std::array<std::byte, kLongHeader>;

void write_big_endian(std::byte* at, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    at[i] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
  }
}

std::uint64_t read_big_endian(const std::byte* at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | std::to_integer<unsigned>(at[i]);
  return value;
}

// Until they are ready; each sleep is a slice, so that `wait` can be interrupted. Ready is no
// promise: another process that has the descriptor may be faster, so the caller tries and waits
// again.
Waited await(std::span<kernel::Watched> watched, Deadline deadline, Wait& wait,
             Blocking& blocking) {
  sync::Slices slices(wait, deadline);
  for (;;) {
    if (slices.expired()) return Waited::timed_out;
    blocking.begin();
    // For views, which have room for one descriptor: the first is named for all.
    const auto how = slices.sleep(
        {sync::SleepsAt::What::descriptors, static_cast<std::uint64_t>(watched.front().fd)},
        [&](std::int64_t until_ns) { return kernel::poll_descriptors(watched, until_ns); });
    if (how == kernel::Polled::ready) return Waited::done;
    if (wait.interrupted(how == kernel::Polled::signalled)) return Waited::interrupted;
  }
}

// What is still to be sent of one message. The parts stay the caller's, and the header lies in
// here: so it is neither copied nor moved.
class Outgoing {
 public:
  explicit Outgoing(std::span<const Bytes> parts) {
    std::uint64_t size = 0;
    for (const Bytes part : parts) size += part.size();
    const bool is_short = size <= kMostShort;
    write_big_endian(header_.data(), is_short ? size : 0xffffffff, kShortHeader);
    if (!is_short) write_big_endian(header_.data() + kShortHeader, size, 8);
    parts_.reserve(parts.size() + 1);
    parts_.emplace_back(header_.data(), is_short ? kShortHeader : kLongHeader);
    // An empty one would never be done: drop() goes on to the next part at a part's last byte.
    for (const Bytes part : parts) {
      if (!part.empty()) parts_.push_back(part);
    }
  }
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;

  [[nodiscard]] std::span<const Bytes> rest() const { return std::span(parts_).subspan(first_); }
  [[nodiscard]] bool is_begun() const { return begun_; }
  void drop(std::size_t bytes) {
    begun_ = begun_ || bytes > 0;
    while (bytes > 0) {
      Bytes& part = parts_[first_];
      const std::size_t taken = std::min(bytes, part.size());
      part = part.subspan(taken);
      bytes -= taken;
      if (part.empty()) ++first_;
    }
  }

 private:
  Header header_{};
  std::vector<Bytes> parts_;
  std::size_t first_ = 0;
  bool begun_ = false;
};

// What has come of the next message; stays from call to call, so that a time-out or a signal loses
// nothing. Whoever has the turn to receive has it.
class Incoming {
 public:
  [[nodiscard]] bool is_begun() const { return header_have_ > 0; }
  [[nodiscard]] bool is_whole() const { return header_is_whole() && have_ == size_; }

  // Where the next bytes belong. Throws: std::bad_alloc.
  std::span<std::byte> room() {
    if (!header_is_whole()) return std::span(header_).first(header_need_).subspan(header_have_);
    if (have_ == body_.capacity()) {
      // The sender only says how long the message is. Memory grows with what has come, so a false
      // length costs a MiB, or as much again as has come.
      body_.reserve(std::min<std::uint64_t>(size_, have_ + std::max(kAhead, have_)));
    }
    return {body_.data() + have_, std::min<std::size_t>(body_.capacity(), size_) - have_};
  }
  // `bytes` were written there. Throws: Error, for a length that is out of bounds.
  void add(std::size_t bytes, std::uint64_t most_bytes) {
    if (header_is_whole()) {
      have_ += bytes;
      return;
    }
    // room() ends where the header does that is known of, so each of these is met exactly.
    header_have_ += bytes;
    if (header_have_ == kShortHeader) read_length(most_bytes);
    if (header_have_ == kLongHeader) accept(read_big_endian(&header_[kShortHeader], 8), most_bytes);
  }
  // The whole message, for one of any content in exchange.
  void take(ReceivedBytes& into) {
    body_.set_size(size_);
    std::swap(into, body_);
    // What comes back from the caller is kept for the next message, unless it is large.
    if (body_.capacity() > kAhead) body_.release();
    header_have_ = have_ = size_ = 0;
    header_need_ = kShortHeader;
  }

 private:
  [[nodiscard]] bool header_is_whole() const { return header_have_ == header_need_; }
  void read_length(std::uint64_t most_bytes) {
    const std::uint64_t length = read_big_endian(header_.data(), kShortHeader);
    if (length == 0xffffffff) {
      header_need_ = kLongHeader;
    } else {
      accept(length, most_bytes);
    }
  }
  void accept(std::uint64_t length, std::uint64_t most_bytes) {
    const bool negative = header_need_ == kShortHeader && length > kMostShort;
    if (negative || length > kAbsurd) {
      throw Error("receive: what came is no message, or part of another one");
    }
    if (length > most_bytes) {
      throw Error("receive: a message of " + std::to_string(length) +
                  " bytes is longer than the caller allows, " + std::to_string(most_bytes));
    }
    size_ = static_cast<std::size_t>(length);
  }

  Header header_{};
  std::size_t header_need_ = kShortHeader;
  std::size_t header_have_ = 0;
  std::size_t size_ = 0;
  std::size_t have_ = 0;
  ReceivedBytes body_;
};

}  // namespace

void ReceivedBytes::reserve(std::size_t capacity) {
  if (capacity <= capacity_) return;
  void* larger = std::realloc(data_, capacity);
  if (larger == nullptr) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(larger);
  capacity_ = capacity;
}

void ReceivedBytes::release() noexcept {
  std::free(std::exchange(data_, nullptr));
  size_ = capacity_ = 0;
}

struct RawConnection::State {
  kernel::Fd fd;
  bool socket = false;
  bool readable = false;
  bool writable = false;
  int owner = 0;  // pid
  // From here on, whoever has the turn of its direction writes. The flags are atomic for
  // is_between_messages(), which asks without a turn.
  Turn sending;
  std::atomic<bool> sent_half{false};
  Turn receiving;
  Incoming incoming;
  std::atomic<bool> lost_track{false};  // of where messages begin
  std::atomic<bool> received_half{false};

  // Half a message was sent, and the rest never comes. The other end of a socket is told by the end
  // of the stream; on a pipe only the closing of this end tells it.
  void break_off() {
    sent_half = true;
    if (socket) kernel::end_sending(fd.get());
  }
  Waited send(Outgoing& message, Wait& wait, Blocking& blocking);
  Waited receive(ReceivedBytes& into, std::uint64_t most_bytes, Wait& wait, Blocking& blocking);
};

RawConnection::RawConnection() noexcept = default;
RawConnection::RawConnection(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
RawConnection::RawConnection(RawConnection&& other) noexcept = default;
RawConnection& RawConnection::operator=(RawConnection&& other) noexcept = default;
RawConnection::~RawConnection() = default;

RawConnection RawConnection::from_fd(int fd, bool readable, bool writable) {
  kernel::Fd owned(fd);
  auto state = std::make_unique<State>();
  // Asked once: the two are moved by different calls, see kernel/stream.cpp.
  state->socket = kernel::is_socket(fd);
  state->fd = std::move(owned);
  state->readable = readable;
  state->writable = writable;
  state->owner = kernel::current_pid();
  return RawConnection(std::move(state));
}

std::pair<RawConnection, RawConnection> RawConnection::make_pipe(bool duplex) {
  auto ends = kernel::make_stream_sockets(duplex);
  auto first = from_fd(ends.first.release(), true, duplex);
  return {std::move(first), from_fd(ends.second.release(), duplex, true)};
}

RawConnection::State& RawConnection::open_state(const char* call) const {
  if (!state_) kernel::throw_error(EBADF, call, "a Connection that is closed");
  return *state_;
}

Waited RawConnection::send(std::span<const Bytes> parts, Wait& wait) {
  State& state = open_state("send");
  if (!state.writable) throw Error("send: this end of the pipe can only receive");
  Outgoing message(parts);
  Blocking blocking(wait);
  const Waited turn = state.sending.take(wait, blocking);
  if (turn != Waited::done) return turn;
  const EndOfTurn end(state.sending);
  // Asked with the turn: the one before may have broken off while this call waited.
  if (state.sent_half) {
    kernel::throw_error(EPIPE, "send", "a Connection that stopped in the middle of a message");
  }
  // However it ends, nothing may follow half a message: the receiver would take the next header for
  // the rest of it.
  try {
    const Waited how = state.send(message, wait, blocking);
    if (how != Waited::done && message.is_begun()) state.break_off();
    return how;
  } catch (...) {
    if (message.is_begun()) state.break_off();
    throw;
  }
}

Waited RawConnection::State::send(Outgoing& message, Wait& wait, Blocking& blocking) {
  while (!message.rest().empty()) {
    const auto moved = kernel::send_some(fd.get(), socket, message.rest());
    if (moved.how == Flow::ended) {
      kernel::throw_error(EPIPE, "send",
                          "a Connection whose other end was closed, or its process is gone");
    }
    if (moved.how == Flow::some) {
      message.drop(moved.bytes);
      if (!message.rest().empty()) FORKFUL_FAULT("connection.sent_part");
      continue;
    }
    kernel::Watched watched{fd.get(), true};
    // A time-out in the middle would leave half a message, so it applies to the first byte only.
    const Deadline deadline = message.is_begun() ? Deadline::never() : wait.deadline;
    const Waited how = await({&watched, 1}, deadline, wait, blocking);
    if (how != Waited::done) return how;
  }
  return Waited::done;
}

Waited RawConnection::receive(ReceivedBytes& into, Wait& wait, std::uint64_t most_bytes) {
  State& state = open_state("receive");
  if (!state.readable) throw Error("receive: this end of the pipe can only send");
  Blocking blocking(wait);
  const Waited turn = state.receiving.take(wait, blocking);
  if (turn != Waited::done) return turn;
  const EndOfTurn end(state.receiving);
  if (state.lost_track) {
    throw Error("receive: an earlier message was refused, and nobody knows where the next begins");
  }
  return state.receive(into, most_bytes, wait, blocking);
}

Waited RawConnection::State::receive(ReceivedBytes& into, std::uint64_t most_bytes, Wait& wait,
                                     Blocking& blocking) {
  // Tried before any wait, so a message that is there is received by a call that only polls.
  while (!incoming.is_whole()) {
    const auto moved = kernel::receive_some(fd.get(), socket, incoming.room());
    if (moved.how == Flow::ended) {
      throw EndOfFile(incoming.is_begun()
                          ? "receive: the other end was closed in the middle of a message, or its "
                            "process is gone"
                          : "receive: the other end was closed, or its process is gone");
    }
    if (moved.how == Flow::some) {
      received_half = true;
      try {
        incoming.add(moved.bytes, most_bytes);
      } catch (...) {
        // The message's bytes stay in the stream, and only its length says where it ends.
        lost_track = true;
        throw;
      }
      FORKFUL_FAULT("connection.received_part");
      continue;
    }
    kernel::Watched watched{fd.get()};
    const Waited how = await({&watched, 1}, wait.deadline, wait, blocking);
    if (how != Waited::done) return how;
  }
  incoming.take(into);
  received_half = false;
  return Waited::done;
}

Waited RawConnection::poll(Wait& wait) {
  State& state = open_state("poll");
  if (!state.readable) throw Error("poll: this end of the pipe can only send");
  kernel::Watched watched{state.fd.get()};
  // A look first, without giving Python's interpreter lock away.
  if (kernel::poll_descriptors({&watched, 1}, 0) == kernel::Polled::ready) return Waited::done;
  Blocking blocking(wait);
  return await({&watched, 1}, wait.deadline, wait, blocking);
}

void RawConnection::close() noexcept { state_.reset(); }

bool RawConnection::readable() const noexcept { return state_ && state_->readable; }
bool RawConnection::writable() const noexcept { return state_ && state_->writable; }
bool RawConnection::is_ours() const noexcept {
  return state_ && state_->owner == kernel::current_pid();
}
bool RawConnection::is_between_messages() const noexcept {
  return state_ && !state_->sent_half && !state_->received_half && !state_->lost_track;
}
int RawConnection::fileno() const { return open_state("fileno").fd.get(); }

std::vector<std::size_t> wait_readable(std::span<const int> descriptors, Wait& wait) {
  std::vector<kernel::Watched> watched;
  watched.reserve(descriptors.size());
  for (const int fd : descriptors) watched.push_back({fd});
  std::vector<std::size_t> ready;
  if (watched.empty()) return ready;
  Blocking blocking(wait);
  // As in poll(): what is there at once needs no sleep.
  if (kernel::poll_descriptors(watched, 0) != kernel::Polled::ready &&
      await(watched, wait.deadline, wait, blocking) != Waited::done) {
    return ready;
  }
  for (std::size_t i = 0; i < watched.size(); ++i) {
    if (watched[i].ready) ready.push_back(i);
  }
  return ready;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
