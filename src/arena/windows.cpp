#include "arena/windows.hpp"

#include <cerrno>
#include <mutex>

#include "kernel/error.hpp"
#include "kernel/memfd.hpp"

namespace forkful::arena {

std::atomic<std::byte*> g_windows[kWindows];

namespace {

std::mutex g_mapping;
int g_arena_fd = -1;
kernel::FileId g_arena_file;

// Whether the windows of the block are mapped already, side by side.
bool side_by_side(std::uint64_t first, std::uint64_t count) {
  std::byte* base = g_windows[first].load(std::memory_order_acquire);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (base == nullptr || g_windows[first + i].load() != base + i * kWindowBytes) return false;
  }
  return true;
}

}  // namespace

std::byte* map_window(Offset at, std::uint64_t bytes) {
  const std::uint64_t first = at / kWindowBytes;
  const std::uint64_t count = (at % kWindowBytes + bytes + kWindowBytes - 1) / kWindowBytes;
  const std::lock_guard lock(g_mapping);
  if (!side_by_side(first, count)) {
    // A block of several windows owns them whole, so nothing lives in an older mapping of them.
    if (kernel::file_of(g_arena_fd) != g_arena_file) {
      kernel::throw_error(EBADF, "growth",
                          "the arena in this process, which has closed the arena's descriptor");
    }
    std::byte* base = kernel::map_shared(g_arena_fd, first * kWindowBytes, count * kWindowBytes);
    for (std::uint64_t i = 0; i < count; ++i) {
      g_windows[first + i].store(base + i * kWindowBytes, std::memory_order_release);
    }
  }
  return g_windows[first].load(std::memory_order_acquire) + at % kWindowBytes;
}

void use_arena(int fd) {
  g_arena_fd = fd;
  g_arena_file = kernel::file_of(fd);
}

const kernel::FileId& arena_file() { return g_arena_file; }

void lock_mapping() { g_mapping.lock(); }
void unlock_mapping() { g_mapping.unlock(); }

}  // namespace forkful::arena
