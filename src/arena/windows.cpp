// The windows of the arena as this process has them mapped, and how far the file reaches.
//
// Any thread that touches a window first maps it, under a mutex of this process that is held across
// forks. A death leaves the file longer than anybody needs, at most.
#include "arena/windows.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <forkful/errors.hpp>

#include "arena/regain.hpp"
#include "base/mutex.hpp"
#include "kernel/child.hpp"
#include "kernel/error.hpp"
#include "kernel/memfd.hpp"

namespace forkful::arena {

std::atomic<std::byte*> g_windows[kWindows];

namespace {

base::Mutex g_mapping;
kernel::KeptFd* g_arena = nullptr;
std::atomic<std::uint64_t> g_reaches{0};  // the file is at least so long

int arena_fd() {
  const int fd = regain(*g_arena);
  if (fd < 0) {
    kernel::throw_error(EBADF, "growth",
                        "the arena in this process: the program has closed its descriptor, "
                        "which nobody else has (" +
                            std::string(kWhoMayRegain) + ")");
  }
  return fd;
}

// Far below where the kernel put the first window, since what it maps next comes close to that. All
// windows are as far from there as from each other in the file.
std::byte* place_of(std::uint64_t window) {
  // 4 TiB: far more than the arena's 256 GiB, and little of the 128 TiB that a process has.
  constexpr std::uintptr_t kBelow = std::uintptr_t{4} << 40;
  const auto first = reinterpret_cast<std::uintptr_t>(g_windows[0].load());
  if (window == 0 || first <= kBelow) return nullptr;
  return reinterpret_cast<std::byte*>(first - kBelow + window * kWindowBytes);
}

void map_at(std::uint64_t first, std::uint64_t count, std::byte* wish) {
  std::byte* base =
      kernel::map_shared(arena_fd(), first * kWindowBytes, count * kWindowBytes, wish);
  for (std::uint64_t i = 0; i < count; ++i) {
    // Release: pairs with the acquire in at().
    g_windows[first + i].store(base + i * kWindowBytes, std::memory_order_release);
  }
}

// Whether the windows of the block are mapped already, side by side.
bool side_by_side(std::uint64_t first, std::uint64_t count) {
  std::byte* base = g_windows[first].load(std::memory_order_acquire);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (base == nullptr || g_windows[first + i].load() != base + i * kWindowBytes) return false;
  }
  return true;
}

// Touching a page beyond the file's end is a SIGBUS. Relaxed: the number only grows, and where it
// is too small the file itself is asked.
void require_reach(std::uint64_t bytes) {
  if (bytes <= g_reaches.load(std::memory_order_relaxed)) return;
  g_reaches.store(kernel::file_bytes(arena_fd()), std::memory_order_relaxed);
  if (bytes > g_reaches.load(std::memory_order_relaxed)) damaged();
}

}  // namespace

void damaged() {
  throw Error("the arena is damaged: some member of the family wrote where it should not");
}

std::byte* map_window(Offset at, std::uint64_t bytes) {
  if (at >= kArenaBytes || bytes > kArenaBytes - at) damaged();
  const std::uint64_t first = at / kWindowBytes;
  const std::uint64_t count = (at % kWindowBytes + bytes + kWindowBytes - 1) / kWindowBytes;
  const base::Guard lock(g_mapping);
  if (!side_by_side(first, count)) {
    require_reach((first + count) * kWindowBytes);
    for (std::uint64_t i = first; i < first + count; ++i) {
      if (g_windows[i].load() == nullptr) map_at(i, 1, place_of(i));
    }
    // Something else was in the place of one. A block of several windows owns them whole, so
    // nothing lives in an older mapping of them.
    if (!side_by_side(first, count)) map_at(first, count, nullptr);
  }
  return g_windows[first].load(std::memory_order_acquire) + at % kWindowBytes;
}

std::optional<Offset> offset_in_arena(const std::byte* address) {
  const std::uint64_t windows =
      std::min(std::atomic_ref(header().windows_used).load(std::memory_order_relaxed), kWindows);
  for (std::uint64_t i = 0; i < windows; ++i) {
    const std::byte* const window = g_windows[i].load(std::memory_order_relaxed);
    if (window == nullptr || address < window || address >= window + kWindowBytes) continue;
    return i * kWindowBytes + static_cast<std::uint64_t>(address - window);
  }
  return std::nullopt;
}

void grow_arena(std::uint64_t bytes) {
  if (bytes <= g_reaches.load(std::memory_order_relaxed)) return;
  std::uint64_t reaches = kernel::file_bytes(arena_fd());
  if (bytes > reaches) {
    // A death after this leaves a file longer than it need be, which costs nothing.
    kernel::grow_memfd(arena_fd(), "the family's shared memory", bytes);
    reaches = bytes;
  }
  g_reaches.store(reaches, std::memory_order_relaxed);
}

// Nobody else has the run, so no page comes or goes meanwhile. Without the descriptor, which a
// program may have closed, nobody can say which pages there are.
void zero_run(Offset run, std::uint64_t bytes) {
  std::byte* const memory = at(run, bytes);
  const int fd = g_arena->get();
  if (fd < 0) {
    std::memset(memory, 0, bytes);
    return;
  }
  const std::uint64_t end = run + bytes;
  for (std::uint64_t from = run; from < end;) {
    const kernel::PageRange data = kernel::next_data(fd, from, end);
    if (data.bytes == 0) return;
    std::memset(memory + (data.from - run), 0, data.bytes);
    from = data.from + data.bytes;
  }
}

void use_arena(kernel::KeptFd& arena) {
  g_arena = &arena;
  g_reaches.store(0);
}

const kernel::FileId& arena_file() { return g_arena->file(); }

// Not analysed: at_fork.cpp calls the first before a fork, and the second in parent and child after
// it.
void lock_mapping() FORKFUL_NO_THREAD_SAFETY_ANALYSIS { g_mapping.lock(); }
void unlock_mapping() FORKFUL_NO_THREAD_SAFETY_ANALYSIS { g_mapping.unlock(); }

}  // namespace forkful::arena
