// Messages of multiprocessing.connection over a descriptor: a length of four bytes in network order
// and the bytes; from 2 GiB on -1 and a length of eight. Called by _connections/stream.py.
//
// Why not <forkful/bytes/connection.hpp>: a connection of Python is a descriptor that the program
// may take from it, share and replace at any time, and it may be a pipe, whose bytes are better
// moved by calls that wait in the kernel.
//
// GIL:     given away around each step.
// Signals: a handler runs between two steps. Where it raises in the middle of a message, what has
//          come is kept in `partial`, and the next call goes on from there; of a message that is on
//          its way out the rest cannot be sent later, so the caller is told by break_off().
// Threads: one at a time in each direction, as there; two lose messages, and nothing else.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <forkful/bytes/descriptor.hpp>
#include <limits>
#include <span>

#include "core.hpp"

namespace forkful::python {
namespace {

constexpr std::size_t kShortHeader = 4;
constexpr std::size_t kLongHeader = 12;
constexpr Py_ssize_t kMostShort = 0x7fffffff;  // the longest with a length of four bytes
// Memory taken ahead of the bytes: a length is only what the other end says. A guess: most messages
// need no second piece.
constexpr Py_ssize_t kAhead = 1 << 20;

void write_big_endian(std::byte* at, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    at[i] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
  }
}

// Negative where the highest bit is set.
std::int64_t read_big_endian(const std::byte* at, std::size_t bytes) {
  std::uint64_t value = std::to_integer<unsigned>(at[0]) >= 0x80 ? ~std::uint64_t{0} : 0;
  for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | std::to_integer<unsigned>(at[i]);
  return static_cast<std::int64_t>(value);
}

// A step without the GIL, again after each signal. False with an exception set: a handler's, or the
// system's.
//
// Kernel: a signal that comes when a part was moved makes the step before this one a short one, and
// says nothing; so its handler has its turn here. One that comes between that and the step waits
// for the end of the step, as everywhere in Python.
template <class F>
bool moved(F step, std::size_t& bytes) {
  bytes = 0;
  for (;;) {
    if (PyErr_CheckSignals() != 0) return false;
    bytes::Step how;
    Py_BEGIN_ALLOW_THREADS;
    how = step();
    Py_END_ALLOW_THREADS;
    bytes = how.bytes;
    if (how.error == 0) return true;
    errno = how.error;
    if (how.error != EINTR) return PyErr_SetFromErrno(PyExc_OSError) != nullptr;
  }
}

// What has come of a message.
class Incoming {
 public:
  explicit Incoming(int fd) : fd_(fd) {}
  ~Incoming() { Py_XDECREF(body_); }
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  [[nodiscard]] std::int64_t size() const { return size_; }

  // Goes on with what an earlier call had, which is empty afterwards.
  bool restore(PyObject* partial) {
    const Py_ssize_t all = PyByteArray_GET_SIZE(partial);
    if (all == 0) return true;
    const auto* from = reinterpret_cast<const std::byte*>(PyByteArray_AS_STRING(partial));
    have_header_ = std::min<std::size_t>(static_cast<std::size_t>(all), kShortHeader);
    std::memcpy(header_.data(), from, have_header_);
    if (have_header_ == kShortHeader && is_long()) {
      have_header_ = std::min<std::size_t>(static_cast<std::size_t>(all), kLongHeader);
      std::memcpy(header_.data(), from, have_header_);
    }
    const Py_ssize_t rest = all - static_cast<Py_ssize_t>(have_header_);
    if (rest > 0) {
      body_ = PyBytes_FromStringAndSize(nullptr, rest);
      if (body_ == nullptr) return false;
      std::memcpy(PyBytes_AS_STRING(body_), from + have_header_, static_cast<std::size_t>(rest));
      have_ = rest;
    }
    return PyByteArray_Resize(partial, 0) == 0;
  }

  // Keeps what has come for the next call, besides the exception that is set.
  void save(PyObject* partial) const {
    const ErrorKept kept;
    if (PyByteArray_Resize(partial, static_cast<Py_ssize_t>(have_header_) + have_) == 0) {
      auto* to = reinterpret_cast<std::byte*>(PyByteArray_AS_STRING(partial));
      std::memcpy(to, header_.data(), have_header_);
      if (have_ > 0) {
        std::memcpy(to + have_header_, PyBytes_AS_STRING(body_), static_cast<std::size_t>(have_));
      }
    }
  }

  bool read_header() {
    while (have_header_ < (is_long() ? kLongHeader : kShortHeader)) {
      const std::size_t need = is_long() ? kLongHeader : kShortHeader;
      if (!read(std::span(header_).first(need).subspan(have_header_), have_header_ == 0)) {
        return false;
      }
      have_header_ += got_;
    }
    size_ = is_long() ? read_big_endian(&header_[kShortHeader], kLongHeader - kShortHeader)
                      : read_big_endian(header_.data(), kShortHeader);
    return true;
  }

  bool read_body() {
    const auto size = static_cast<Py_ssize_t>(size_);
    if (body_ == nullptr) {
      body_ = PyBytes_FromStringAndSize(nullptr, std::min(size, kAhead));
      if (body_ == nullptr) return false;
    }
    while (have_ < size) {
      if (have_ == PyBytes_GET_SIZE(body_)) {
        // As much again as has come: a false length costs no more than that.
        const Py_ssize_t more = std::min(size - have_, std::max(kAhead, have_));
        if (!resize(have_ + more)) return false;
      }
      auto* at = reinterpret_cast<std::byte*>(PyBytes_AS_STRING(body_));
      const auto room = static_cast<std::size_t>(PyBytes_GET_SIZE(body_) - have_);
      if (!read({at + have_, room}, have_ == 0)) return false;
      have_ += static_cast<Py_ssize_t>(got_);
    }
    return true;
  }

  PyObject* take() { return std::exchange(body_, nullptr); }

 private:
  [[nodiscard]] bool is_long() const {
    constexpr std::byte kAll{0xff};
    return have_header_ >= kShortHeader &&
           std::all_of(header_.begin(), header_.begin() + kShortHeader,
                       [](std::byte each) { return each == kAll; });
  }
  // What there was is lost where there is no memory, and the rest of it is no message: a length
  // below 0 says so to the next call.
  bool resize(Py_ssize_t size) {
    if (_PyBytes_Resize(&body_, size) == 0) return true;
    have_ = 0;
    write_big_endian(header_.data(), 0x80000000, kShortHeader);
    have_header_ = kShortHeader;
    return false;
  }
  // At a `seam`, where a sender may have ended on purpose, it is EOFError; as the standard has it.
  bool read(std::span<std::byte> into, bool seam) {
    if (!moved([&] { return bytes::read_step(fd_, into); }, got_)) return false;
    if (got_ != 0) return true;
    if (seam) {
      PyErr_SetString(PyExc_EOFError,
                      "the other end of the connection is closed, or its process is gone");
    } else {
      PyErr_SetString(PyExc_OSError, "got end of file during message: its sender is gone");
    }
    return false;
  }

  int fd_;
  std::array<std::byte, kLongHeader> header_{};
  std::size_t have_header_ = 0;
  std::int64_t size_ = 0;
  PyObject* body_ = nullptr;  // not shared with anybody yet, so it may be resized
  Py_ssize_t have_ = 0;
  std::size_t got_ = 0;  // by the last read
};

// receive(fd, partial, most)
PyObject* receive(PyObject*, PyObject* args) {
  int fd = -1;
  PyObject* partial = nullptr;
  PyObject* most = nullptr;
  if (!PyArg_ParseTuple(args, "iYO:receive", &fd, &partial, &most)) return nullptr;
  Py_ssize_t limit = PY_SSIZE_T_MAX;
  if (most != Py_None) {
    limit = PyNumber_AsSsize_t(most, nullptr);  // a larger one is no limit
    if (limit == -1 && PyErr_Occurred() != nullptr) return nullptr;
  }
  Incoming message(fd);
  if (!message.restore(partial)) return nullptr;
  if (!message.read_header()) {
    message.save(partial);
    return nullptr;
  }
  // The caller says so, and receives no more.
  if (message.size() < 0 || message.size() > limit) return PyLong_FromLongLong(message.size());
  if (!message.read_body()) {
    message.save(partial);
    return nullptr;
  }
  return message.take();
}

// Calls break_off() besides the exception that is set.
void tell_of_half(PyObject* break_off) {
  const ErrorKept kept;
  const Ref told(PyObject_CallNoArgs(break_off));
  if (!told) PyErr_WriteUnraisable(break_off);
}

// send(fd, message, break_off)
PyObject* send(PyObject*, PyObject* args) {
  int fd = -1;
  Py_buffer message;
  PyObject* break_off = nullptr;
  if (!PyArg_ParseTuple(args, "iy*O:send", &fd, &message, &break_off)) return nullptr;
  std::array<std::byte, kLongHeader> header{};
  const bool is_short = message.len <= kMostShort;
  const auto size = static_cast<std::uint64_t>(message.len);
  write_big_endian(header.data(), is_short ? size : 0xffffffff, kShortHeader);
  if (!is_short) write_big_endian(&header[kShortHeader], size, kLongHeader - kShortHeader);
  std::span<const std::byte> head(header.data(), is_short ? kShortHeader : kLongHeader);
  std::span<const std::byte> body(static_cast<const std::byte*>(message.buf),
                                  static_cast<std::size_t>(message.len));
  const std::size_t whole = head.size() + body.size();
  bool sent = true;
  while (sent && head.size() + body.size() > 0) {
    std::size_t bytes = 0;
    sent = moved([&] { return bytes::write_step(fd, head, body); }, bytes);
    const std::size_t of_head = std::min(bytes, head.size());
    head = head.subspan(of_head);
    body = body.subspan(bytes - of_head);
  }
  // Whoever has gone away in the middle of a message needs not be told.
  const bool is_alone = !sent && (PyErr_ExceptionMatches(PyExc_BrokenPipeError) != 0 ||
                                  PyErr_ExceptionMatches(PyExc_ConnectionResetError) != 0);
  if (!sent && !is_alone && head.size() + body.size() < whole) tell_of_half(break_off);
  PyBuffer_Release(&message);
  if (!sent) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef g_functions[] = {
    {"receive", receive, METH_VARARGS,
     "receive(fd, partial, most, /)\n--\n\n"
     "The next message, or its length where that is below 0 or above `most`.\n\n"
     "`partial`, a bytearray, keeps what has come when a signal's handler raises."},
    {"send", send, METH_VARARGS,
     "send(fd, message, break_off, /)\n--\n\n"
     "Send bytes as one message; calls break_off() where only a part of it was sent."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_frames(PyObject* module) { return PyModule_AddFunctions(module, g_functions) == 0; }

}  // namespace forkful::python
