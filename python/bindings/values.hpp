// Python objects to and from bytes.
//
// Small exact built-ins (None, bool, int, float, str, bytes and short tuples of them) have the
// shortest way; everything else is written by an ObjectWriter, which follows the rules of pickle in
// a form of its own, and by pickle itself where that does not know how. Each message (or frame of a
// chunk) can be read by itself, whatever became of the one before.
#pragma once

#include <forkful/bytes/message.hpp>
#include <vector>

#include "core.hpp"

namespace forkful::python {

// Bytes that grow: the first kilobyte needs no allocation.
class Buffer {
 public:
  Buffer() {}  // leaves first_ as it is
  ~Buffer() { clear(); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Room for `size` more bytes, or nullptr with MemoryError set. They are for the caller to write,
  // before the next call: after that they may lie elsewhere.
  std::byte* extend(std::size_t size) {
    if (size_ + size > room_ && !grow(size)) return nullptr;
    std::byte* at = data_ + size_;
    size_ += size;
    return at;
  }
  void shrink(std::size_t size) { size_ = size; }
  // Gives back what it has taken.
  void clear() {
    size_ = 0;
    if (data_ == first_) return;
    PyMem_RawFree(data_);
    data_ = first_;
    room_ = kFirst;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bytes::Bytes bytes() const { return {data_, size_}; }
  [[nodiscard]] std::byte* at(std::size_t offset) { return data_ + offset; }

 private:
  bool grow(std::size_t size);
  static constexpr std::size_t kFirst = 1024;
  std::size_t size_ = 0;
  std::size_t room_ = kFirst;
  std::byte first_[kFirst];
  std::byte* data_ = first_;
};

// Appends `object` when it is a small exact built-in; otherwise appends nothing.
enum class Encoded { yes, no, failed };
Encoded encode_simple(PyObject* object, Buffer& into);

class ObjectWriter;
class ObjectReader;

// Values as the parts of one message. What is large is not copied: it is kept until these parts go.
class Parts {
 public:
  Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  // False with an exception set where it cannot be pickled; the parts are to be cleared or dropped
  // then. Requires: nothing was added before. A `writer` that is given remembers classes from one
  // call to the next.
  bool encode(PyObject* object, ObjectWriter* writer = nullptr);
  // The same for several objects, as one list.
  bool encode_list(PyObject* const* items, std::uint32_t count);
  // For several simple values, one after the other.
  Encoded add_simple(PyObject* object) { return encode_simple(object, head_); }

  // All of it, in order. Good as long as these parts are there and nothing is added.
  [[nodiscard]] std::span<const bytes::Bytes> span() {
    if (!pieces_.empty()) return with_pieces();
    one_ = head_.bytes();
    return {&one_, 1};
  }
  // What it names, for the message to hold.
  [[nodiscard]] bytes::Shares shares() const { return shares_; }

  // For the writer: its bytes, and, while there is room, bytes that `owner` keeps, which come next.
  Buffer& head() { return head_; }
  [[nodiscard]] bool has_room() const { return pieces_.size() < kMostPieces; }
  void add(bytes::Bytes outside, Ref owner) {
    pieces_.push_back({head_.size(), outside, std::move(owner)});
  }
  void clear() {
    head_.clear();
    pieces_.clear();
    shares_.clear();
  }
  std::vector<bytes::Shared>& gathered() { return shares_; }

 private:
  // A message of a pool has no more than seven parts: these with what is around them, and two of
  // the pool's own.
  static constexpr std::size_t kMostPieces = 2;
  bool encode_pickle(PyObject* object);
  std::span<const bytes::Bytes> with_pieces();
  struct Piece {
    std::size_t at;  // of head_
    bytes::Bytes bytes;
    Ref owner;
  };
  Buffer head_;
  std::vector<Piece> pieces_;
  std::vector<bytes::Bytes> all_;
  bytes::Bytes one_;
  std::vector<bytes::Shared> shares_;
};

// The value at the front of `from`, which loses its bytes. nullptr with an exception set, which may
// be one of unpickling. A `reader` that is given remembers classes from one call to the next.
PyObject* decode(bytes::Bytes& from, ObjectReader* reader = nullptr);

// The pickle of `object` as bytes, or null with an exception set; what it names is added to
// `shares`. And back: nothing of the object lies in `from` any more.
Ref pickle(PyObject* object, std::vector<bytes::Shared>& shares);
PyObject* unpickle(bytes::Bytes from);

// As pickle(), but what the main module defines, and functions that have no name, are in the pickle
// themselves, by cloudpickle.
Ref pickle_by_value(PyObject* object, std::vector<bytes::Shared>& shares);

// While it lives, and is wanted, pickle() is pickle_by_value() in this thread, and the writer
// leaves to it what the main module defines: the receiver does not run that module.
class MainByValue {
 public:
  explicit MainByValue(bool wanted);
  ~MainByValue();
  MainByValue(const MainByValue&) = delete;
  MainByValue& operator=(const MainByValue&) = delete;
  // In this thread now, or in this process for good.
  static bool is_wanted();

 private:
  bool outer_;
};

// Sets an exception for bytes that are not what a writer wrote; returns nullptr.
PyObject* raise_damaged();
// The str of so many characters of ASCII. EOFError where they are not: the interpreter crashes on
// a str that says that it is ASCII and is not.
PyObject* ascii_text(const char* data, std::size_t size);

// What Python's side has told about pickling.
struct Pickling {
  PyObject* dumps;          // (object) -> bytes
  PyObject* loads;          // (bytes) -> object
  PyObject* reducers;       // {type: function}, of ForkingPickler.register()
  PyObject* more_reducers;  // the same, of copyreg
  PyObject* new_object;     // copyreg.__newobj__
  PyObject* new_named;      // copyreg.__newobj_ex__
  PyObject* slot_names;     // copyreg._slotnames
  PyObject* from_handler;   // (exception) -> whether a signal's handler has raised it
  bool for_all;             // dumps is the program's own: it gets all that is not simple
};
const Pickling& pickling();

// Whether the exception that is set is the caller's, and not that of the value that was being read
// or written: a signal's handler has raised it. Such run in the main thread only.
bool is_callers();
// Whether the exception that is set says that something cannot be pickled. Otherwise it is the
// caller's: a handler's, an interrupt, or the end of the program.
bool is_refusal();

}  // namespace forkful::python
