// Bytes being written and read: what values become on their way to another process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <forkful/bytes/carried.hpp>
#include <forkful/bytes/message.hpp>
#include <forkful/bytes/shared.hpp>
#include <forkful/errors.hpp>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace detail {

using bytes::Bytes;

// Grows as needed; small messages need no allocation, and clear() keeps what was allocated.
class Writer {
 public:
  Writer() {}  // leaves inline_ as it is: it is written before it is read
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void bytes(const void* from, std::size_t size) {
    if (size == 0) return;
    if (size > capacity_ - size_) grow(size);
    std::memcpy(data_ + size_, from, size);
    size_ += size;
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void raw(const T& value) {
    bytes(std::addressof(value), sizeof value);
  }
  // As bytes(), for bytes that stay as they are until the message was sent: with refer_into() those
  // above kInlineBytes are not copied here, since they are copied into the block anyway.
  void lasting(const void* from, std::size_t size) {
    if (referred_ == nullptr || size <= bytes::kInlineBytes) return bytes(from, size);
    referred_->push_back({size_, {static_cast<const std::byte*>(from), size}});
  }
  // A share in an object: its id, by which the reader adopts it. The message has to hold what
  // shares() collects.
  void share(const bytes::Shared& object) {
    raw(object.id());
    (carried_ != nullptr ? carried_->shares : shares_).push_back(object);
  }
  void share(bytes::Shares objects) {
    shares_.insert(shares_.end(), objects.begin(), objects.end());
  }
  [[nodiscard]] bytes::Shares shares() const { return shares_; }
  // A descriptor: its index, for bytes::take_carried_descriptor().
  void descriptor(int fd) {
    if (carried_ == nullptr) {
      throw Error(
          "a Connection can be passed to a Process when that starts, and by no other way: not "
          "through a queue, not to a pool");
    }
    raw(static_cast<std::uint32_t>(carried_->descriptors.size()));
    carried_->descriptors.push_back(fd);
  }
  // For bytes that a process is started with: `carried` collects what it must be given.
  void carry_into(bytes::Carried& carried) { carried_ = &carried; }

  // Bytes that lie elsewhere, and what was written when they came.
  struct Referred {
    std::size_t at;
    Bytes bytes;
  };
  // `referred` collects where the large pieces of the message lie; then parts() is the message.
  void refer_into(std::vector<Referred>& referred) { referred_ = &referred; }
  [[nodiscard]] std::vector<Bytes> parts() const {
    std::vector<Bytes> all;
    std::size_t from = 0;
    for (const Referred& each : *referred_) {
      all.push_back(view().subspan(from, each.at - from));
      all.push_back(each.bytes);
      from = each.at;
    }
    all.push_back(view().subspan(from));
    return all;
  }
  // While it lives all bytes are copied, because some may lie in temporaries.
  class CopyAll {
   public:
    explicit CopyAll(Writer& writer)
        : writer_(writer), referred_(std::exchange(writer.referred_, nullptr)) {}
    ~CopyAll() { writer_.referred_ = referred_; }
    CopyAll(const CopyAll&) = delete;
    CopyAll& operator=(const CopyAll&) = delete;

   private:
    Writer& writer_;
    std::vector<Referred>* referred_;
  };

  // Overwrites what is at `at`. Requires: it was written before.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void patch(std::size_t at, const T& value) {
    std::memcpy(data_ + at, std::addressof(value), sizeof value);
  }
  void clear() {
    size_ = 0;
    if (!shares_.empty()) shares_.clear();
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Bytes view() const { return {data_, size_}; }

 private:
  void grow(std::size_t more) {
    std::size_t larger = capacity_ * 2;
    while (larger - size_ < more) larger *= 2;
    auto block = std::make_unique_for_overwrite<std::byte[]>(larger);
    std::memcpy(block.get(), data_, size_);
    block_ = std::move(block);
    data_ = block_.get();
    capacity_ = larger;
  }

  // A guess: what most small values need, without making each Writer on the stack large.
  static constexpr std::size_t kInline = 512;
  std::byte* data_ = inline_;
  std::size_t size_ = 0;
  std::size_t capacity_ = kInline;
  bytes::Carried* carried_ = nullptr;
  std::vector<Referred>* referred_ = nullptr;
  std::vector<bytes::Shared> shares_;
  std::unique_ptr<std::byte[]> block_;
  std::byte inline_[kInline];
};

// Reads in the order of writing. Throws Error when the bytes end too early; nothing is allocated
// on a length that the bytes merely claim.
class Reader {
 public:
  explicit Reader(Bytes from) : rest_(from) {}

  Bytes take(std::size_t size) {
    if (size > rest_.size()) throw Error("a message from another process ends in mid-value");
    const Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  void bytes(void* into, std::size_t size) {
    const Bytes taken = take(size);
    if (size != 0) std::memcpy(into, taken.data(), size);
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  T raw() {
    if constexpr (std::is_same_v<T, bool>) {
      return raw<unsigned char>() != 0;  // other bytes than 0 and 1 are no bool at all
    } else {
      alignas(T) std::byte object[sizeof(T)];
      bytes(object, sizeof object);
      return *std::launder(reinterpret_cast<T*>(object));
    }
  }
  // A count of things that take at least `least` bytes each.
  std::size_t count(std::size_t least) {
    const auto claimed = raw<std::uint64_t>();
    if (claimed > rest_.size() / (least == 0 ? 1 : least)) {
      throw Error("a message from another process claims more than it holds");
    }
    return static_cast<std::size_t>(claimed);
  }
  [[nodiscard]] Bytes rest() const { return rest_; }

 private:
  Bytes rest_;
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
