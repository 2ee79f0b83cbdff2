// Python objects to and from bytes.
//
// Small exact built-ins (None, bool, int, float, str, bytes and short tuples of them) have an
// encoding of their own, which C++ shares; everything else is pickled by the two functions that
// set_pickle() was given. Such values are immutable, so that their identity does not matter.
#pragma once

#include <forkful/bytes/message.hpp>
#include <vector>

#include "core.hpp"

namespace forkful::python {

// Bytes that grow: the first kilobyte needs no allocation.
class Buffer {
 public:
  Buffer() {}  // leaves first_ as it is
  ~Buffer() {
    if (data_ != first_) PyMem_RawFree(data_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Room for `size` more bytes, or nullptr with MemoryError set.
  std::byte* extend(std::size_t size) {
    if (size_ + size > room_ && !grow(size)) return nullptr;
    std::byte* at = data_ + size_;
    size_ += size;
    return at;
  }
  void shrink(std::size_t size) { size_ = size; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bytes::Bytes bytes() const { return {data_, size_}; }

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

// An object as the parts of one message.
class Parts {
 public:
  // False with an exception set where it cannot be pickled.
  bool encode(PyObject* object);
  [[nodiscard]] std::span<const bytes::Bytes> span() const { return {parts_, count_}; }
  // What it names, for the message to hold.
  [[nodiscard]] bytes::Shares shares() const { return shares_; }

 private:
  Buffer head_;
  Ref body_;
  Py_buffer view_{};
  bytes::Bytes parts_[2];
  std::size_t count_ = 0;
  std::vector<bytes::Shared> shares_;

 public:
  Parts() = default;
  ~Parts() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }
};

// The value at the front of `from`, which loses its bytes. nullptr with an exception set, which may
// be one of unpickling.
PyObject* decode(bytes::Bytes& from);

// The pickle of `object` as bytes; what it names is added to `shares`. And back.
Ref pickle(PyObject* object, std::vector<bytes::Shared>& shares);
PyObject* unpickle(bytes::Bytes from);

}  // namespace forkful::python
