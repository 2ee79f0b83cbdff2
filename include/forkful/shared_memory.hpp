// Memory with a name, which any process of this user can attach, of whatever program.
//
//   forkful::SharedMemory pixels(forkful::create, 1920 * 1080);
//   std::ranges::fill(pixels.as<std::uint8_t>(), 0);
//   forkful::Process child(draw, pixels.name());       // SharedMemory pixels(name);
#pragma once

#include <cstddef>
#include <cstdint>
#include <forkful/bytes/shared_memory.hpp>
#include <forkful/detail/codec/codable.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {

struct create_t {
  explicit create_t() = default;
};
inline constexpr create_t create{};

// Nothing guards the bytes: use them with a Lock, or with atomics.
//
// Threads:   one at a time, apart from the bytes.
// Ownership: movable. The destructor unmaps the bytes, and the creator's takes the name away:
//            nobody can attach it any more, and the memory is freed once all have unmapped it.
// Death:     the name of a creator that is killed stays, until somebody unlinks it.
// Fork:      an inherited one only unmaps.
class SharedMemory {
 public:
  // Zeroed memory, all of it present. An empty `name`: one that nobody has.
  // Throws: std::invalid_argument when `bytes` is 0 or the name has a slash in it; OsError(EEXIST);
  // OsError(ENOSPC) where there is not so much memory: nothing is left of it then.
  SharedMemory(create_t, std::size_t bytes, const std::string& name = {})
      : memory_(bytes::RawSharedMemory::create(bytes, name)), created_(true) {}
  // Throws: OsError(ENOENT) when nothing has this name.
  explicit SharedMemory(const std::string& name) : memory_(bytes::RawSharedMemory::attach(name)) {}

  SharedMemory(SharedMemory&& other) noexcept
      : memory_(std::move(other.memory_)), created_(std::exchange(other.created_, false)) {}
  SharedMemory& operator=(SharedMemory&& other) noexcept {
    if (this == &other) return *this;
    finish();
    memory_ = std::move(other.memory_);
    created_ = std::exchange(other.created_, false);
    return *this;
  }
  ~SharedMemory() { finish(); }

  [[nodiscard]] const std::string& name() const { return memory_.name(); }
  // What was asked for at creation; 0 when it is closed.
  [[nodiscard]] std::size_t size() const { return memory_.bytes().size(); }
  // Empty when it is closed.
  [[nodiscard]] std::span<std::byte> bytes() const { return memory_.bytes(); }
  // As many T as there is room for. Throws: std::length_error when that is none.
  template <class T>
  [[nodiscard]] std::span<T> as() const {
    static_assert(std::is_trivially_copyable_v<T> && Codable<std::remove_const_t<T>>,
                  "forkful: SharedMemory holds trivially copyable types whose members are no "
                  "pointers: an address means nothing in another process");
    static_assert(alignof(T) <= 4096, "forkful: shared memory begins at a page, aligned to 4096");
    if (size() < sizeof(T)) {
      throw std::length_error("the shared memory '" + name() + "' is closed, or too small for one");
    }
    return {reinterpret_cast<T*>(bytes().data()), size() / sizeof(T)};
  }

  // The name outlives this object.
  void persist() noexcept { created_ = false; }
  // Unmaps the bytes; every span of them is invalid then. The destructor still does the rest.
  void close() noexcept { memory_.close(); }
  // Takes the name away now. Whoever has the memory keeps it. Throws: OsError(ENOENT).
  void unlink() {
    memory_.unlink();
    created_ = false;
  }

 private:
  void finish() noexcept {
    if (created_ && memory_.is_ours()) memory_.unlink_own();
    memory_.close();
  }

  bytes::RawSharedMemory memory_;
  bool created_ = false;
};

}  // namespace v0
}  // namespace forkful
