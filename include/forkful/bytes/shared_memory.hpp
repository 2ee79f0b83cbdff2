// Shared memory with a name in the system. (Unstable; see shared_memory.hpp.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace forkful {
inline namespace v0 {
namespace bytes {

// Threads:   one at a time, apart from the bytes.
// Ownership: movable. Its destructor unmaps the bytes; the name and what it names stay.
// Fork:      the child has the bytes, too.
class RawSharedMemory {
 public:
  RawSharedMemory() = default;
  // An empty `name`: one that nobody has.
  // Throws: std::invalid_argument when `bytes` is 0 or the name cannot be one; OsError(EEXIST),
  // OsError(ENOSPC): nothing is left of it.
  static RawSharedMemory create(std::uint64_t bytes, const std::string& name = {});
  // Throws: OsError(ENOENT); std::invalid_argument when the name cannot be one.
  static RawSharedMemory attach(const std::string& name);

  RawSharedMemory(RawSharedMemory&& other) noexcept { swap(other); }
  RawSharedMemory& operator=(RawSharedMemory&& other) noexcept {
    swap(other);
    return *this;
  }
  ~RawSharedMemory() { close(); }

  // Without the slash in front.
  [[nodiscard]] const std::string& name() const { return name_; }
  // Empty when it is closed.
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  void close() noexcept;
  // Throws: OsError(ENOENT).
  void unlink();
  // Only if the name still names this memory.
  void unlink_own() noexcept;
  // Whether this process made or attached it, rather than inherited it by a fork.
  [[nodiscard]] bool is_ours() const noexcept;

 private:
  void swap(RawSharedMemory& other) noexcept;

  std::string name_;
  std::span<std::byte> bytes_;
  std::uint64_t device_ = 0;  // what the name referred to
  std::uint64_t number_ = 0;
  int owner_ = 0;  // pid
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
