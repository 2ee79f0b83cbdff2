#include "arena/windows.hpp"

#include <mutex>

#include "kernel/memfd.hpp"

namespace forkful::arena {

std::atomic<std::byte*> g_windows[kWindows];
std::atomic<int> g_arena_fd{-1};

namespace {

std::mutex g_mapping;

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
    std::byte* base =
        kernel::map_shared(g_arena_fd.load(), first * kWindowBytes, count * kWindowBytes);
    for (std::uint64_t i = 0; i < count; ++i) {
      g_windows[first + i].store(base + i * kWindowBytes, std::memory_order_release);
    }
  }
  return g_windows[first].load(std::memory_order_acquire) + at % kWindowBytes;
}

}  // namespace forkful::arena
